"""What the commands print: progress on stderr, results on stdout."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from timbrec import catalog

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from timbrec.api import Result
    from timbrec.audit import Finding
    from timbrec.study.inputs import Inputs

_out = Console(highlight=False)


@contextmanager
def progress_bars() -> Iterator[Callable[[str, int, int], None]]:
    """One bar per phase; the callback is told "phase" or "phase: what it is at", how much is done, and of how much."""
    from rich.progress import (  # commands that show no progress start sooner
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bars:
        tasks: dict[str, Any] = {}

        def progress(what: str, done: int, total: int) -> None:
            phase = what.split(": ")[0]
            if phase not in tasks:
                tasks[phase] = bars.add_task(phase, total=total)
            if done < bars.tasks[tasks[phase]].completed:
                bars.reset(tasks[phase])  # the next training: its time and what is left of it begin anew
            shown = phase if done >= total else what
            bars.update(tasks[phase], description=shown, completed=done, total=total)

        yield progress


def show_result(result: Result) -> None:
    """The primary metric of every line, the audit in one line, and where the report is."""
    import polars as pl

    from timbrec.api import read_files

    metric = result.run.facts["config"]["primary"]
    table = Table(title=f"{metric}, 95 % intervals over users and items", title_justify="left")
    for column in ("encoder", "recommender", "hot", "cold", "mixed"):
        table.add_column(column, justify="left" if column in ("encoder", "recommender") else "right")
    chosen = result.summary.filter(pl.col("metric") == metric)
    for (encoder, label), rows in chosen.group_by("encoder", "recommender", maintain_order=True):
        cells = {row["scenario"]: row for row in rows.to_dicts()}
        figures = [_figure(cells.get(scenario)) for scenario in ("hot", "cold", "mixed")]
        table.add_row(escape(str(encoder or "–")), escape(str(label)), *figures)
    _out.print(table)
    if len(files := read_files(result.run)):
        table = Table("encoder", "file", "", title="audio files left out, or odd", title_justify="left")
        for row in files.head(20).select("encoder", "path", "reason").iter_rows():
            table.add_row(*map(escape, row))
        _out.print(table)
        if len(files) > 20:
            _out.print(f"all {len(files):,} are in {result.run.folder / 'files.csv'}")
    refused = [finding.name for finding in result.findings if not finding.passed]
    _out.print(f"audit: REFUSED by {', '.join(refused)}" if refused else f"audit: {len(result.findings)} checks passed")
    _out.print(f"report: {result.report.resolve()}", soft_wrap=True)


def show_inputs(inputs: Inputs) -> None:
    """The data card and the sizes of every scenario."""
    from timbrec.study.inputs import data_card

    card = Table(show_header=False)
    for label, value in data_card(inputs):
        card.add_row(escape(label), escape(value))
    _out.print(card)
    split = inputs.split.describe()
    table = Table(
        "",
        *(part.replace("_", " ") for part in split["part"]),
        title=f"split: {inputs.split.protocol}",
        title_justify="left",
    )
    for statistic in split.columns[1:]:
        table.add_row(statistic.replace("_", " "), *map(_count, split[statistic]))
    _out.print(table)
    _out.print("nothing is wrong")


def show_findings(findings: Sequence[Finding]) -> None:
    """One line per check: whether it passed, what it found, and what it should have found."""
    table = Table("check", "", "found", "expected", "defects")
    for finding in findings:
        mark = "[green]passed[/]" if finding.passed else "[bold red]REFUSED[/]"
        texts = (finding.figure, finding.expected, finding.defects)
        table.add_row(escape(finding.name), mark, *(escape(str(text)) for text in texts))
    _out.print(table)


def show_catalog(kinds: Iterable[str]) -> None:
    """Everything of these kinds that can be named in a config; nothing is loaded for it."""
    for kind in kinds:
        table = Table(title=kind, title_justify="left", show_header=False, box=None)
        for name in catalog.names(kind):
            table.add_row(name, escape(catalog.summary(kind, name) if name in catalog.CATALOG[kind] else "installed"))
        _out.print(table)


def _figure(row: dict[str, Any] | None) -> str:
    """The value and half its interval's width: intervals are symmetric."""
    if row is None or row["value"] is None:
        return "–"
    return f"{row['value']:.4f}" + ("" if row["high"] is None else f" ±{row['high'] - row['value']:.4f}")


def _count(value: float | None) -> str:
    return "–" if value is None else f"{value:,.10g}"
