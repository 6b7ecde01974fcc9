"""`timbrec embed`: encode audio files into stores of vectors."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from timbrec.cli.options import Engine
from timbrec.errors import ConfigError
from timbrec.types import WindowPolicy

if TYPE_CHECKING:
    from timbrec.embed import Output
    from timbrec.protocols import Encoder

_Audio = Annotated[Path, typer.Argument(metavar="AUDIO", help="A folder, or a table (.csv, .tsv, .parquet: id, path).")]
_Names = Annotated[
    list[str],
    typer.Option("--encoder", "-e", metavar="NAME", help="Several: repeated, or with commas."),
]
_Weights = Annotated[list[str], typer.Option(metavar="NAME=PATH", help="File, folder or hub name of its weights.")]
_Options = Annotated[list[str], typer.Option("--set", metavar="NAME.OPTION=VALUE", help="An encoder's own option.")]


def embed(
    audio: _Audio,
    encoder: _Names,
    weights: _Weights = [],  # noqa: B006 - typer reads it
    layers: Annotated[str, typer.Option(metavar="all|6,12", help="Layers instead of the encoder's own output.")] = "",
    pool: Annotated[str, typer.Option(metavar="mean,max,meanstd", help="Pooling over time.")] = "mean",
    windows: Annotated[WindowPolicy, typer.Option(help="Choice of the windows of a track.")] = "spread",
    count: Annotated[int, typer.Option(help="Number of windows spread over a track.", min=1)] = 8,
    ids: Annotated[
        str | None, typer.Option(metavar="stem|path|tag", help="Ids of tracks: names of files, paths, or tag:NAME.")
    ] = None,
    store: Annotated[Path | None, typer.Option(help="Folder of the stores; by default ./vectors.")] = None,
    batch: Annotated[
        int | None, typer.Option(min=1, help="Windows at once; by default 60 s of audio, 480 s on GPU.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Threads that read and encode; by default the cores.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto (a GPU, if there is one), cpu, cuda or cuda:1.")] = "auto",
    max_failures: Annotated[int, typer.Option(help="Number of failures above which the exit code is 1.", min=0)] = 0,
    prune: Annotated[bool, typer.Option(help="Remove the vectors of tracks that are not in AUDIO.")] = False,
    retry: Annotated[bool, typer.Option(help="Read files again that failed before, even if unchanged.")] = False,
    options: _Options = [],  # noqa: B006 - typer reads it
    engine: Engine = "local",
) -> None:
    """Encode audio files into stores of vectors, or resume an interrupted run.

    Each encoder, layer and pool gets a store of its own: a folder that a config can name.
    Failures and remarks are listed in failures.csv and remarks.csv beside the stores.
    Exit code 1: more files failed than --max-failures.
    """
    from timbrec.audio import Windows
    from timbrec.cli.embed_show import progress_bar, show_end, show_report, write_lists
    from timbrec.cli.options import options_by_encoder, weights_by_encoder
    from timbrec.embed import embed_all, outputs
    from timbrec.embed.tracks import check_ids
    from timbrec.machine.cluster import session
    from timbrec.places import location

    ids = None if ids is None else check_ids(ids)
    root = location(store or Path("vectors"))
    names = [name for part in encoder for name in part.split(",")]
    with session(engine):
        given = weights_by_encoder(weights, names), options_by_encoder(options, names)
        loaded = _load(names, *given, layers, device, engine)
        chosen: list[Output] = []
        for model in loaded:
            chosen += outputs(model, root, _layers(layers, model), pool.split(","), Windows(windows, count))
        if store is None:
            _refuse_stores_elsewhere(chosen, audio)
        with progress_bar(audio.name) as progress:
            report = embed_all(
                audio, chosen, batch=batch, workers=workers, prune=prune, ids=ids, retry=retry, progress=progress,
                engine=engine,
            )  # fmt: skip
    show_report(report, chosen, root, prune)
    write_lists(report, root)
    raise typer.Exit(show_end(report, max_failures))


def _refuse_stores_elsewhere(outputs: Sequence[Output], audio: Path) -> None:
    """Raise ConfigError if a store exists only beside AUDIO, the default place of earlier versions."""
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
    engine: str,
) -> list[Encoder]:
    """Load encoders, up to the deepest requested layer."""
    from timbrec import encoders
    from timbrec.cli.embed_show import loading
    from timbrec.embed import load_encoder

    loaded = []
    for name in names:
        given = dict(options.get(name, {}))
        if layers and (card := encoders.find(name).card).layer is not None:  # blocks above its layer are not loaded
            deepest = card.layers if layers == "all" else max(_numbers(layers))
            given.setdefault("layer", max(deepest, card.layer))
        with loading(name):
            loaded.append(load_encoder(name, weights.get(name), device, engine, **given))
    return loaded


def _layers(layers: str, encoder: Encoder) -> Sequence[int | None]:
    """Return the requested layers of an encoder; None is its own output."""
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
