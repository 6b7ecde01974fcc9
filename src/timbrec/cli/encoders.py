"""The commands `list`, `convert` and `check-encoder`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from timbrec.cli.options import on_this_machine

if TYPE_CHECKING:
    from collections.abc import Sequence

    from timbrec.audit import Finding
    from timbrec.protocols import EncoderCard

_Name = Annotated[str, typer.Argument(metavar="NAME", help="As in `timbrec list`, or path/to/file.py:Name.")]
_Weights = Annotated[str, typer.Argument(metavar="WEIGHTS", help="A file, a folder, owner/name of the hub, or `hub`.")]
_Options = Annotated[list[str], typer.Option("--set", metavar="OPTION=VALUE", help="The encoder's own option.")]


def list_parts(
    kind: Annotated[
        str | None, typer.Argument(metavar="[KIND]", help="encoders, recommenders, metrics, datasets or importers.")
    ] = None,
    commercial_only: Annotated[
        bool, typer.Option("--commercial-only", help="Leave out encoders that may not be used commercially.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, with the whole card of every encoder.")] = False,
) -> None:
    """List the parts that a config or a command can name; a single kind is listed with further facts."""
    from timbrec.cli.listing import list_parts as show

    show(kind, commercial_only, as_json)


def convert(
    name: _Name,
    weights: _Weights,
    out: Annotated[Path, typer.Argument(callback=on_this_machine, metavar="OUT.safetensors", help="A new file.")],
    layer: Annotated[int | None, typer.Option(help="Keep blocks up to this layer only.")] = None,
) -> None:
    """Write the tensors that an encoder needs to one slim file, which can be given as its weights."""
    from timbrec.encoders.weights.convert import convert as convert_weights

    converted = convert_weights(name, None if weights == "hub" else weights, out, layer)
    before = f"{converted.before / 1e6:,.1f} MB" if converted.before else "unknown size"
    typer.echo(f"{converted.path}: {converted.tensors:,} tensors, {converted.after / 1e6:,.1f} MB (before: {before})")


def check_encoder(
    name: _Name,
    weights: Annotated[str | None, typer.Option(help="A file, a folder, or owner/name of the hub.")] = None,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    seconds: Annotated[float | None, typer.Option(help="Length of the windows tried [default: 5].", min=0.1)] = None,
    options: _Options = [],  # noqa: B006 - typer reads it
) -> None:
    """Check an encoder against the contract. Exit code 1 if a check failed."""
    from timbrec.audit.contract import check_encoder as check
    from timbrec.audit.contract import failed
    from timbrec.cli.options import options_of
    from timbrec.cli.show import progress_bars
    from timbrec.encoders import load
    from timbrec.machine.devices import device_of

    device_of(device)
    encoder = load(name, weights, device, **options_of(options))
    with progress_bars() as progress:
        findings = check(encoder, seconds, progress)
    _show_checks(findings, encoder.card)
    if failed(findings):
        raise typer.Exit(1)


def _show_checks(findings: Sequence[Finding], card: EncoderCard) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    title = f"{card.name} ({card.revision})"
    table = Table("check", "", "measured", "required", "", title=escape(title), title_justify="left")
    for finding in findings:
        mark = "[green]passed[/]" if finding.passed else "[bold red]FAILED[/]"
        texts = (finding.figure, finding.expected, finding.detail)
        table.add_row(escape(finding.name), mark, *map(escape, texts))
    out = Console(highlight=False)
    out.print(table)
    wrong = [finding.name for finding in findings if not finding.passed]
    out.print(f"FAILED: {', '.join(wrong)}" if wrong else f"{len(findings)} checks passed")
