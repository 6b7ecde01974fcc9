"""Output of `timbrec embed`: progress, the outcome of all files, and the lists of failures and remarks."""

from __future__ import annotations

import re
from collections import Counter
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

from timbrec.errors import StoreError
from timbrec.places import place_of

if TYPE_CHECKING:
    from timbrec.embed import EmbedReport, Output

SHOWN = 20  # rows of a table on the terminal; the lists hold all rows
SUFFIXES = 8  # kinds of other files with a count of their own
_out, _err = Console(highlight=False), Console(stderr=True, highlight=False)


def loading(name: str) -> Status:
    """Show the name of an encoder while it is loaded."""
    return _err.status(f"loading {escape(name)}")


class _Rate(ProgressColumn):
    """Column with the tracks per second of the last minute."""

    def render(self, task: Task) -> Text:
        """Return the rate; empty while it is unknown."""
        return Text(f"{task.speed:.3g} tracks/s" if task.speed else "", style="progress.data.speed")


@contextmanager
def progress_bar(name: str) -> Iterator[Callable[[str, int, int], None]]:
    """Show a progress bar with the tracks done, their rate and the time left; yield its callback."""
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
            if task is None:  # tracks of earlier runs do not count for the rate
                task = bar.add_task(name, total=total, completed=done)
            bar.update(task, completed=done)

        yield progress


def write_lists(report: EmbedReport, root: Path) -> None:
    """Write failures.csv and remarks.csv of all files, including earlier runs; remove a list without rows."""
    place = place_of(root)
    for name, table in (("failures", report.failures), ("remarks", report.remarks)):
        file = f"{name}.csv"
        try:
            if len(table):
                place.prepare()
                place.put(file, table.write_csv().encode())
            else:
                place.delete([file])
        except OSError as error:
            raise StoreError(
                f"cannot write {root / file}: {error.strerror}", fix="The vectors are stored; move that file away."
            ) from error


def show_report(report: EmbedReport, outputs: Sequence[Output], root: Path, pruned: bool) -> None:
    """Print remarks, duplicates, failures, counts and stores."""
    from timbrec.store import VectorStore
    from timbrec.store.manifest import holds_store

    _rows(report.remarks.select("path", "reason"), f"remarks, all in {root / 'remarks.csv'}")
    _rows(report.duplicates.select("path", _same("same audio as {}")), "the same audio twice, encoded once")
    _rows(report.failures.select("path", "reason"), f"failures, all in {root / 'failures.csv'}")
    for title, table in (("remarks", report.remarks), ("failures", report.failures)):
        for reason, count in _by_reason(table):
            _print(f"{title}: {count:,} x {reason}")
    _print(
        f"{report.done:,} encoded, {report.recognised:,} recognised by their audio, {report.skipped:,} unchanged, "
        f"{_failed(report):,} failed"
        + (f"; {report.gone:,} not in AUDIO, {'forgotten' if pruned else 'kept'}" * (report.gone > 0))
    )
    if report.aside:
        most = sorted(report.aside.items(), key=lambda item: -item[1])
        more = f", and {len(most) - SUFFIXES} more kinds" if len(most) > SUFFIXES else ""
        _print("left aside: " + ", ".join(f"{count:,} {kind}" for kind, count in most[:SUFFIXES]) + more)
    for output in outputs:
        if holds_store(output.store):
            store = VectorStore.open(output.store)
            _print(f"{output.store}: {len(store):,} x {store.dim}")


def show_end(report: EmbedReport, allowed: int) -> int:
    """Print the reason of the exit code, and return it: 1 if more files failed than are allowed."""
    failed = _failed(report)
    code = int(failed > allowed)
    if failed:
        verdict = "more than" if code else "no more than"
        files = "1 file has" if failed == 1 else f"{failed:,} files have"
        _print(f"exit code {code}: {files} no vector, {verdict} --max-failures {allowed} allows")
    return code


def _failed(report: EmbedReport) -> int:
    return report.failures["id"].n_unique()


def _by_reason(table: Any) -> list[tuple[str, int]]:
    """Count the reasons, most frequent first, regardless of numbers and names within them."""
    reasons = Counter(
        re.sub(r"'.*?'|\b\d(?:[\d.,e+-]*\d)?", "…", reason.partition(": ")[0]) for reason in table["reason"]
    )
    return reasons.most_common()


def _same(text: str) -> Any:
    """Column with the name of the track with the same audio."""
    import polars as pl

    return pl.format(text, "same_as").alias("reason")


def _rows(rows: Any, title: str) -> None:
    from timbrec.embed.tracks import printable

    if not len(rows):
        return
    table = Table(title=f"{escape(title)} ({len(rows):,})", title_justify="left", show_header=False)
    for row in rows.head(SHOWN).iter_rows():
        table.add_row(*(escape(printable(value)) for value in row))
    _out.print(table)
    if len(rows) > SHOWN:
        _print(f"and {len(rows) - SHOWN:,} more")


def _print(line: str) -> None:
    from timbrec.embed.tracks import printable

    _out.print(printable(line), soft_wrap=True, markup=False)
