"""`timbrec embed`: audio files in, stores of vectors out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from timbrec.errors import ConfigError
from timbrec.types import WindowPolicy

if TYPE_CHECKING:
    from timbrec.embed import Output
    from timbrec.protocols import Encoder

_Audio = Annotated[Path, typer.Argument(metavar="AUDIO", help="A folder, or a table (.csv, .tsv, .parquet: id, path).")]
_Names = Annotated[list[str], typer.Option("--encoder", "-e", metavar="NAME", help="Again, or with commas, for more.")]
_Weights = Annotated[list[str], typer.Option(metavar="NAME=PATH", help="Where an encoder's weights are.")]
_Options = Annotated[list[str], typer.Option("--set", metavar="NAME.OPTION=VALUE", help="An encoder's own option.")]


def embed(
    audio: _Audio,
    encoder: _Names,
    weights: _Weights = [],  # noqa: B006 - typer reads it
    layers: Annotated[str, typer.Option(metavar="all|6,12", help="Layers instead of the encoder's own output.")] = "",
    pool: Annotated[str, typer.Option(metavar="mean,max,meanstd", help="What is kept of time.")] = "mean",
    windows: Annotated[WindowPolicy, typer.Option(help="Which windows of a track.")] = "spread",
    count: Annotated[int, typer.Option(help="How many windows are spread over a track.", min=1)] = 8,
    ids: Annotated[
        str | None, typer.Option(metavar="stem|path|tag", help="Names of tracks: of files, paths, or tag:NAME.")
    ] = None,
    store: Annotated[Path | None, typer.Option(help="Folder of the stores; by default ./vectors.")] = None,
    batch: Annotated[
        int | None, typer.Option(min=1, help="Windows at once; by default 60 s of audio, 480 s on GPU.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Threads that read and encode; by default the cores.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto (a GPU, if there is one), cpu, cuda or cuda:1.")] = "auto",
    max_failures: Annotated[int, typer.Option(help="Files that may fail before the exit code is 1.", min=0)] = 0,
    prune: Annotated[bool, typer.Option(help="Forget tracks that are not in AUDIO.")] = False,
    retry: Annotated[bool, typer.Option(help="Read files again that failed before and have not changed.")] = False,
    options: _Options = [],  # noqa: B006 - typer reads it
) -> None:
    """Encode audio files into stores of vectors, or go on after an interruption.

    Each encoder, layer and pool has a store of its own: a folder that a config can name.
    Files that fail and files with remarks are listed in failures.csv and remarks.csv beside the stores.
    Exit code 1: more files failed than --max-failures.
    """
    from timbrec.audio import Windows
    from timbrec.cli.embed_show import progress_bar, show_end, show_report, write_lists
    from timbrec.devices import device_of
    from timbrec.embed import embed_all, outputs
    from timbrec.embed.tracks import check_ids

    device = "cpu" if device == "cpu" else str(device_of(device))
    ids = None if ids is None else check_ids(ids)
    root = store or Path("vectors")
    asked = [name for names in encoder for name in names.split(",")]
    loaded = _load(asked, _by_name(weights, asked), _options_by_name(options, asked), layers, device)
    chosen: list[Output] = []
    for model in loaded:
        chosen += outputs(model, root, _layers(layers, model), pool.split(","), Windows(windows, count))
    if store is None:
        _refuse_stores_elsewhere(chosen, audio)
    with progress_bar(audio.name) as progress:
        report = embed_all(
            audio, chosen, batch=batch, workers=workers, prune=prune, ids=ids, retry=retry, progress=progress
        )
    show_report(report, chosen, root, prune)
    write_lists(report, root)
    raise typer.Exit(show_end(report, max_failures))


def _refuse_stores_elsewhere(outputs: Sequence[Output], audio: Path) -> None:
    """Name the stores beside AUDIO, where earlier versions put them, rather than encode everything again."""
    former = audio.absolute().parent / "vectors"
    for output in outputs:
        store = former / output.store.name
        if any(store.glob("manifest-*.json")) and not any(output.store.glob("manifest-*.json")):
            raise ConfigError(
                f"there is a store at {store}, and none at {output.store}",
                fix=f"Use it by --store {former}, or start afresh by --store {output.store.parent}.",
            )


def _load(
    names: Sequence[str],
    weights: dict[str, str],
    options: dict[str, dict[str, Any]],
    layers: str,
    device: str,
) -> list[Encoder]:
    from timbrec import encoders
    from timbrec.cli.embed_show import loading

    loaded = []
    for name in names:
        given = dict(options.get(name, {}))
        if layers and (card := encoders.find(name).card).layer is not None:  # it loads no blocks above its layer
            deepest = card.layers if layers == "all" else max(_numbers(layers))
            given.setdefault("layer", max(deepest, card.layer))
        with loading(name):
            loaded.append(encoders.load(name, weights.get(name), device, **given))
    return loaded


def _layers(layers: str, encoder: Encoder) -> Sequence[int | None]:
    if not layers:
        return [None]
    if not encoder.card.layers:
        raise ConfigError(f"{encoder.card.name} has no layers to choose from", fix="Embed it without --layers.")
    return range(encoder.card.layers + 1) if layers == "all" else _numbers(layers)


def _numbers(layers: str) -> list[int]:
    try:
        return [int(layer) for layer in layers.split(",")]
    except ValueError as error:
        raise ConfigError(
            "--layers takes numbers or `all`", example=layers, fix="For example: --layers 6,12."
        ) from error


def _by_name(pairs: Sequence[str], names: Sequence[str]) -> dict[str, str]:
    """Values by key, from texts KEY=VALUE; a key is an encoder's name, or NAME.OPTION."""
    values = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not any(key == name or key.startswith(f"{name}.") for name in names):
            raise ConfigError(f"{pair!r} is not NAME=VALUE of an encoder asked for", fix=f"NAME: {', '.join(names)}.")
        values[key] = value
    return values


def _options_by_name(pairs: Sequence[str], names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Options by encoder, from texts NAME.OPTION=VALUE; values are read as YAML: true, 7, text."""
    import yaml

    chosen: dict[str, dict[str, Any]] = {}
    for key, value in _by_name(pairs, names).items():
        name, dot, option = key.rpartition(".")
        if not dot or name not in names:
            raise ConfigError(f"{key!r} names no option", fix=f"For example: --set {key}.OPTION={value}.")
        chosen.setdefault(name, {})[option] = yaml.safe_load(value)
    return chosen
