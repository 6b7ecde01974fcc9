"""What `timbrec embed` shows while it works and when it is done."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeElapsedColumn
from rich.progress import TimeRemainingColumn as TimeLeftColumn
from rich.status import Status
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from timbrec.embed import EmbedReport, Output

SHOWN = 20  # rows of a table; all are in failures.csv
_out, _err = Console(highlight=False), Console(stderr=True, highlight=False)


def loading(name: str) -> Status:
    """Says what is being loaded, as long as its block lasts."""
    return _err.status(f"loading {escape(name)}")


class _Rate(ProgressColumn):
    """Tracks per second, of late."""

    def render(self, task: Task) -> Text:
        """Empty until it is known."""
        return Text(f"{task.speed:.3g} tracks/s" if task.speed else "", style="progress.data.speed")


@contextmanager
def progress_bar(name: str) -> Iterator[Callable[[str, int, int], None]]:
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

        def progress(what: str, done: int, total: int) -> None:
            nonlocal task
            if task is None:  # what was there before is no part of the speed
                task = bar.add_task(name, total=total, completed=done)
            bar.update(task, completed=done)

        yield progress


def write_failures(report: EmbedReport, root: Path) -> None:
    """The failures of this run alone; no file where there are none."""
    path = root / "failures.csv"
    path.unlink(missing_ok=True)
    if len(report.failures):
        report.failures.write_csv(path)


def show_report(report: EmbedReport, outputs: Sequence[Output], root: Path, pruned: bool) -> None:
    """What came of the files, and which stores there are now."""
    from timbrec.store import VectorStore

    _rows(report.remarks.select("path", "reason"), "encoded, but odd")
    _rows(report.duplicates.select("path", _same("same audio as {}")), "the same audio twice, encoded once")
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


def _same(text: str) -> Any:
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
