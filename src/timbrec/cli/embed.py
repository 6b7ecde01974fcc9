"""`timbrec embed`: audio files in, stores of vectors out."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
import yaml
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeElapsedColumn
from rich.progress import TimeRemainingColumn as TimeLeftColumn
from rich.table import Table
from rich.text import Text

from timbrec.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

    from timbrec.embed import EmbedReport, Output
    from timbrec.protocols import Encoder

SHOWN = 20  # rows of a table; all are in failures.csv
_Audio = Annotated[Path, typer.Argument(metavar="AUDIO", help="A folder, or a table (.csv, .tsv, .parquet: id, path).")]
_Names = Annotated[list[str], typer.Option("--encoder", "-e", metavar="NAME", help="Again, or with commas, for more.")]
_Weights = Annotated[list[str], typer.Option(metavar="NAME=PATH", help="Where an encoder's weights are.")]
_Options = Annotated[list[str], typer.Option("--set", metavar="NAME.OPTION=VALUE", help="An encoder's own option.")]
_out, _err = Console(highlight=False), Console(stderr=True, highlight=False)


class Policy(StrEnum):
    """Which windows of a track."""

    spread = "spread"
    centre = "centre"
    first = "first"
    all = "all"
    padded = "padded"


def embed(
    audio: _Audio,
    encoder: _Names,
    weights: _Weights = [],  # noqa: B006 - typer reads it
    layers: Annotated[str, typer.Option(metavar="all|6,12", help="Layers instead of the encoder's own output.")] = "",
    pool: Annotated[str, typer.Option(metavar="mean,max,meanstd", help="What is kept of time.")] = "mean",
    windows: Annotated[Policy, typer.Option(help="Which windows of a track; padded is the study's way.")] = (
        Policy.spread
    ),
    count: Annotated[int, typer.Option(help="How many windows are spread over a track.", min=1)] = 8,
    store: Annotated[Path | None, typer.Option(help="Where the stores go; by default `vectors` beside AUDIO.")] = None,
    batch: Annotated[int | None, typer.Option(help="Windows at once; by default 60 s of audio, 480 s on GPU.")] = None,
    workers: Annotated[int | None, typer.Option(help="Threads that read and encode; by default the cores.")] = None,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    max_failures: Annotated[int, typer.Option(help="Files that may fail before the exit code is 1.", min=0)] = 0,
    prune: Annotated[bool, typer.Option(help="Forget tracks that are not in AUDIO.")] = False,
    options: _Options = [],  # noqa: B006 - typer reads it
) -> None:
    """Encode audio files into stores of vectors, or go on with what was interrupted.

    Each encoder, layer and pool has a store of its own: a folder that a config can name.
    Files that fail are listed, here and in failures.csv beside the stores.
    Exit code 1: more files failed than --max-failures.
    """
    from timbrec.audio import Windows
    from timbrec.embed import embed_all, outputs

    root = store or audio.absolute().parent / "vectors"
    asked = [name for names in encoder for name in names.split(",")]
    loaded = _load(asked, _by_name(weights, asked), _options_by_name(options, asked), layers, device)
    chosen: list[Output] = []
    for one in loaded:
        wanted = _layers(layers, one)
        chosen += outputs(one, root, wanted, pool.split(","), Windows(windows.value, count))
    with _progress(audio.name) as progress:
        report = embed_all(audio, chosen, batch=batch, workers=workers, prune=prune, progress=progress)
    _write_failures(report, root)
    _show(report, chosen, root, prune)
    if len(report.failures["id"].unique()) > max_failures:
        raise typer.Exit(1)


def _load(
    names: Sequence[str],
    weights: dict[str, str],
    options: dict[str, dict[str, Any]],
    layers: str,
    device: str,
) -> list[Encoder]:
    from timbrec import encoders

    loaded = []
    for name in names:
        given = dict(options.get(name, {}))
        if layers and (card := _card(name)) is not None:  # Jukebox loads no more blocks than it is told to
            given.setdefault("layer", card.layers if layers == "all" else max(_numbers(layers)))
        with _err.status(f"loading {name}"):
            loaded.append(encoders.load(name, weights.get(name), device, **given))
    return loaded


def _card(name: str) -> Any:
    """The card of an encoder that is told which layer when it is loaded."""
    from timbrec import catalog

    if name not in catalog.names("encoders"):
        return None
    kind = catalog.load("encoders", name)
    return kind.card if "layer" in inspect.signature(kind).parameters else None


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
    """NAME=VALUE, of names that are asked for."""
    found = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or (name.partition(".")[0] not in names and name not in names):
            raise ConfigError(f"{pair!r} is not NAME=VALUE of an encoder asked for", fix=f"NAME: {', '.join(names)}.")
        found[name] = value
    return found


def _options_by_name(pairs: Sequence[str], names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """NAME.OPTION=VALUE, the value as YAML has it: true, 7, text."""
    found: dict[str, dict[str, Any]] = {}
    for key, value in _by_name(pairs, names).items():
        name, dot, option = key.rpartition(".")
        if not dot:
            raise ConfigError(f"{key!r} names no option", fix=f"For example: --set {key}.OPTION={value}.")
        found.setdefault(name, {})[option] = yaml.safe_load(value)
    return found


class _Rate(ProgressColumn):
    """Tracks per second, of late."""

    def render(self, task: Task) -> Text:
        """Empty until it is known."""
        return Text(f"{task.speed:.3g} tracks/s" if task.speed else "", style="progress.data.speed")


@contextmanager
def _progress(name: str) -> Iterator[Callable[[int, int], None]]:
    """A live bar on a terminal: tracks done, how fast, and how long it will take."""
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeLeftColumn(),
    )
    with Progress(*columns, console=_err, speed_estimate_period=60) as bar:
        task: Any = None

        def progress(done: int, total: int) -> None:
            nonlocal task
            if task is None:  # what was there before is no part of the speed
                task = bar.add_task(name, total=total, completed=done)
            bar.update(task, completed=done)

        yield progress


def _write_failures(report: EmbedReport, root: Path) -> None:
    """The failures of this run alone; no file where there are none."""
    path = root / "failures.csv"
    path.unlink(missing_ok=True)
    if len(report.failures):
        report.failures.write_csv(path)


def _show(report: EmbedReport, outputs: Sequence[Output], root: Path, pruned: bool) -> None:
    from timbrec.store import VectorStore

    _rows(report.remarks.select("path", "reason"), "encoded, but odd")
    _rows(report.duplicates.select("path", pl_same("same audio as {}")), "the same audio twice, encoded once")
    _rows(report.failures.select("path", "reason"), f"failures, all in {root / 'failures.csv'}")
    failed = report.failures["id"].n_unique()
    _out.print(
        f"{report.done:,} encoded, {report.recognised:,} recognised by their audio, {report.skipped:,} unchanged, "
        f"{failed:,} failed"
        + (f"; {report.gone:,} not in AUDIO, {'forgotten' if pruned else 'kept'}" * (report.gone > 0))
    )
    for output in outputs:
        if next(output.store.glob("manifest-*.json"), None) is not None:
            made = VectorStore.open(output.store)
            _out.print(f"{output.store}: {len(made):,} x {made.dim}", soft_wrap=True, markup=False)


def pl_same(text: str) -> Any:
    """The id of the track that is the same, in words."""
    import polars as pl

    return pl.format(text, "same_as").alias("reason")


def _rows(rows: Any, title: str) -> None:
    if not len(rows):
        return
    table = Table(title=f"{title} ({len(rows):,})", title_justify="left", show_header=False)
    for row in rows.head(SHOWN).iter_rows():
        table.add_row(*map(escape, row))
    _out.print(table)
    if len(rows) > SHOWN:
        _out.print(f"and {len(rows) - SHOWN:,} more")
