"""`timbrec weights`: the encoders with weights on this machine, and how to get the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from timbrec.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from timbrec.encoders.weights.packaged import WeightsPackage

weights = typer.Typer(help="List the weights of the encoders, or get them.", no_args_is_help=True)
_Name = Annotated[str, typer.Argument(metavar="NAME", help="An encoder, or the package `musicnn`.")]


@weights.command("list")
def list_weights() -> None:
    """Show for every encoder whether its weights are on this machine, and how to get missing ones."""
    from rich.console import Console
    from rich.markup import escape

    from timbrec import catalog
    from timbrec.cli.show import add_names, narrow_table

    names = catalog.names("encoders")
    table = narrow_table("weights of the encoders")
    add_names(table, "encoder", names)
    table.add_column("here", no_wrap=True)
    table.add_column("how to get them", overflow="fold")
    for name in names:
        table.add_row(escape(name), *map(escape, _state(name)))
    Console(highlight=False).print(table)


@weights.command("get")
def get_weights(name: _Name) -> None:
    """Get the weights of an encoder: by pip, or from the model hub. Exit code 2: they must be fetched by hand."""
    from timbrec import catalog, encoders

    if name in (packages := _packages()):
        return _install(packages[name])
    if name not in catalog.names("encoders"):
        known = [*packages, *catalog.names("encoders")]
        raise ConfigError(f"no encoder is called {name!r}", fix=f"{did_you_mean(name, known)}Known: {', '.join(known)}")
    encoder = encoders.find(name)
    if (package := getattr(encoder, "package", None)) is not None:
        return _install(package)
    if not encoders.check_weights(name):
        return typer.echo(f"{name}: nothing to get; it is ready to use")
    from timbrec.encoders.weights.hub import find_files

    for path in find_files(None, encoder.card):
        typer.echo(f"{name}: {path}")
    return None


def _state(name: str) -> tuple[str, str]:
    """Whether the weights are on this machine ("yes", "no", or "none" if none are needed), and how to get them."""
    from timbrec import encoders
    from timbrec.protocols import WeightedEncoder

    encoder = encoders.find(name)
    if not isinstance(encoder, WeightedEncoder):
        return "none", "needs no weights"
    try:
        missing = encoders.check_weights(name)
    except ConfigError as error:
        return "no", error.fix
    if not missing:
        return "yes", ""
    size = sum(file.bytes for file in missing) / 1e6
    return "no", f"timbrec weights get {name} ({size:,.0f} MB; licence {encoder.card.licence_weights})"


def _packages() -> dict[str, WeightsPackage]:
    """The packages that contain weights, by name."""
    from timbrec.encoders.weights.packaged import MUSICNN

    return {MUSICNN.name: MUSICNN}


def _install(package: WeightsPackage) -> None:
    from timbrec.encoders.weights.packaged import install, is_installed

    names = ", ".join(_users(package))
    if is_installed(package):
        return typer.echo(f"{package.name} is installed; {names} are ready to use")
    size = f"{package.bytes / 1e6:,.0f} MB"
    typer.echo(f"{package.name} {package.version}: {size}, licence {package.licence}, installed without dependencies")
    install(package)
    return typer.echo(f"{names} are ready to use")


def _users(package: WeightsPackage) -> list[str]:
    """The encoders with weights in the package."""
    from timbrec import catalog, encoders

    found: list[Any] = [(name, getattr(encoders.find(name), "package", None)) for name in catalog.names("encoders")]
    return [name for name, other in found if other == package]
