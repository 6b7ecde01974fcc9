"""Output of the commands: progress on stderr, results on stdout."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from timbrec.audit import Finding
    from timbrec.result import Result
    from timbrec.study.inputs import Inputs

_out = Console(highlight=False)


@contextmanager
def progress_bars() -> Iterator[Callable[[str, int, int], None]]:
    """A callback `progress(step, done, total)` that draws one bar per phase; `step` is "phase" or "phase: detail"."""
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
    console = Console(stderr=True, highlight=False)
    if not console.is_terminal:
        yield _lines_of(console)
        return
    with Progress(*columns, console=console) as bars:
        tasks: dict[str, Any] = {}

        def progress(step: str, done: int, total: int) -> None:
            phase = step.split(": ")[0]
            if phase not in tasks:
                tasks[phase] = bars.add_task(phase, total=total)
            if done < bars.tasks[tasks[phase]].completed:
                bars.reset(tasks[phase])  # the next training has a time of its own
            shown = phase if done >= total else step
            bars.update(tasks[phase], description=shown, completed=done, total=total)

        yield progress


def _lines_of(console: Console) -> Callable[[str, int, int], None]:
    """A callback that prints a line per cell and per phase, for logs."""
    shown = ""

    def progress(step: str, done: int, total: int) -> None:
        nonlocal shown
        phase, _, detail = step.partition(": ")
        line = step if phase == "cells" else phase
        if line != shown and not (phase == "training" or done >= total):
            console.print(f"{line} ({done:,} of {total:,})" if detail else line, markup=False, soft_wrap=True)
            shown = line

    return progress


def show_result(result: Result) -> None:
    """Print the primary metric of every line, the audit's outcome and the path of the report."""
    import polars as pl

    from timbrec.data.split import SCENARIOS
    from timbrec.result import read_files

    for verdict in result.verdict:
        _out.print(escape(verdict.sentence))
    metric = result.run.facts["config"]["primary"]
    table = narrow_table(f"{metric}, 95 % intervals over users and items; = tied with the best audio model")
    for column in ("encoder", "recommender"):
        add_names(table, column, result.summary[column].drop_nulls())
    for scenario in SCENARIOS:
        table.add_column(scenario, justify="right", no_wrap=True)
    chosen = result.summary.filter(pl.col("metric") == metric)
    for (encoder, label), rows in chosen.group_by("encoder", "recommender", maintain_order=True):
        cells = {row["scenario"]: row for row in rows.to_dicts()}
        figures = [_figure(cells.get(scenario)) for scenario in SCENARIOS]
        table.add_row(escape(str(encoder or "–")), escape(str(label)), *figures)
    audio = chosen.filter(pl.col("encoder").is_not_null(), pl.col("chance").is_not_null())
    chance = dict(audio.unique("scenario").select("scenario", "chance").rows())
    if chance:
        figures = [f"{chance[scenario]:.3f}  " if scenario in chance else "–" for scenario in SCENARIOS]
        table.add_row("–", "chance", *figures)
    _out.print(table)
    if len(files := read_files(result.run)):
        table = narrow_table("audio files left out or remarked")
        add_names(table, "encoder", files["encoder"])
        table.add_column("file", overflow="fold")
        table.add_column("reason")
        for row in files.head(20).select("encoder", "path", "reason").iter_rows():
            table.add_row(*map(escape, row))
        _out.print(table)
        if len(files) > 20:
            _out.print(f"all {len(files):,} are in {result.run.location / 'files.csv'}")
    for experiment in result.run.missing:
        _out.print(f"missing: {escape(experiment.title)}: {escape(result.run.failure(experiment) or 'not run yet')}")
    _out.print(_audit_line(result))
    _out.print(f"report: {result.report.resolve()}", soft_wrap=True, markup=False)
    if result.run.location != result.run.folder:
        _out.print(f"the run, its report included: {result.run.location}", soft_wrap=True, markup=False)


def _audit_line(result: Result) -> str:
    if result.audit.missing:
        return f"not audited: {result.audit.missing}"
    refused = [finding.name for finding in result.findings if not finding.passed]
    if refused:
        return f"audit: REFUSED by {', '.join(refused)}"
    checked = sum(finding.checked for finding in result.findings)
    rest = len(result.findings) - checked
    notes = "".join(f"; {finding.note}" for finding in result.findings if finding.note)
    return f"audit: {checked} checks passed" + f", {rest} not checked" * bool(rest) + notes


def show_end(result: Result) -> int:
    """Print the exit code with its reasons, and return it: 1 if anything is missing or refused."""
    from timbrec.result import read_files

    files, allowed = read_files(result.run), result.run.facts["config"].get("max_failures", 0)
    failed = files.filter(outcome="failed")["path"].n_unique() if "outcome" in files.columns else 0
    reasons = []
    if result.run.missing:
        reasons.append("cells are missing")
    if result.findings and not result.audit.passed:
        reasons.append("the audit refused")
    if failed > allowed:
        reasons.append(
            f"{failed:,} audio files have no vector, more than `max_failures: {allowed}` in the config allows"
        )
    if reasons:
        _out.print(f"exit code 1: {'; '.join(reasons)}", soft_wrap=True)
    elif failed:
        _out.print(f"exit code 0: {failed:,} audio files have no vector, `max_failures: {allowed}` allows them")
    return int(bool(reasons))


def show_inputs(inputs: Inputs) -> None:
    """Print the data card and the sizes of every scenario."""
    from timbrec.study.data_card import data_card

    card = narrow_table()
    card.show_header = False
    for label, value in data_card(inputs)[: -len(inputs.warnings) or None]:  # printed below
        card.add_row(escape(label), escape(value))
    _out.print(card)
    split = inputs.split.describe()
    table = narrow_table(f"split: {inputs.split.protocol}", "")
    for part in split["part"]:
        table.add_column(part.replace("_", " "), justify="right")
    for statistic in split.columns[1:]:
        table.add_row(statistic.replace("_", " "), *map(_count, split[statistic]))
    _out.print(table)
    for warning in inputs.warnings:
        _out.print(f"warning: {escape(warning)}", soft_wrap=True)
    count = len(inputs.warnings)
    _out.print(f"usable, with {count} warning{'s' if count > 1 else ''}" if count else "nothing is wrong")


def show_findings(findings: Sequence[Finding]) -> None:
    """Print a line per check, then details of refused and odd ones, and what was not checked."""
    table = narrow_table()
    add_names(table, "check", (finding.name for finding in findings))
    for column in ("", "measured", "required"):
        table.add_column(column)
    for finding in findings:
        style = "green" if finding.mark == "passed" else "bold red" if not finding.passed else "yellow"
        mark = f"[{style}]{finding.mark}[/]"
        table.add_row(escape(finding.name), mark, escape(finding.figure), escape(finding.expected))
    _out.print(table)
    for finding in findings:
        if text := finding.note if finding.mark == "passed" else finding.detail * finding.checked:
            _out.print(escape(f"{finding.name}: {text}"), soft_wrap=True)
    for reason, count in Counter(finding.detail for finding in findings if not finding.checked).items():
        _out.print(escape(f"not checked: {count} checks: {reason}"), soft_wrap=True)


def narrow_table(title: str | None = None, *columns: str) -> Table:
    """A table with little space between columns, for 80 columns; long words are folded, never cut."""
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def add_names(table: Table, header: str, names: Iterable[str]) -> None:
    """Add a column of names that users type: up to 32 characters on one line, longer names folded, never cut."""
    table.add_column(header, overflow="fold", no_wrap=max(map(len, names), default=0) <= 32)


def _figure(row: dict[str, Any] | None) -> str:
    """The value and half the width of its 95 % interval, with "=" if it is tied with the best."""
    if row is None or row["value"] is None:
        return "–"
    around = "" if row["high"] is None else f" ±{(row['high'] - row['low']) / 2:.3f}"
    return f"{row['value']:.3f}{around}{' =' if row['tied'] else '  '}"


def _count(value: int | float | None) -> str:
    return "–" if value is None else f"{value:,.10g}"
