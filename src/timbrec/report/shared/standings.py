"""The sortable tables: one per scenario, with the cells of every metric."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from timbrec.report.data import Line, ReportData, Row
from timbrec.report.shared import numbers
from timbrec.report.shared.cards import SCENARIOS, why_empty
from timbrec.results.summary import BASE
from timbrec.study.controls import CONTROLS

COLUMNS = {  # heading of a column of figures: the meaning of a dash in it
    "value": "not defined here",
    "95 % interval": "too few users or items, or a metric without one",
    **{name.replace("gaussian", "Gaussian"): "no vectors for this control" for name in CONTROLS},
    "chance": "no closed form for this metric",
    "lift": "no shuffled value to divide by",
    "over shuffled": "no shuffled value to subtract",
    "95 % interval of it": "no difference, or a metric without an interval",
}

LEVELS = 8  # shades of a matrix
SMALL = (*CONTROLS, "chance")  # columns of the summary with small values


@dataclass(frozen=True)
class Figures:
    """The cells of a row for one metric: texts in the order of COLUMNS, and the marks of its interval plot.

    `marks` are percentages of the table's scale, None if undefined: low, high, chance, shuffled, value. `level` is the
    value's colour in a matrix, from 0 (lowest of the audio models) to LEVELS - 1. `tied` is None for baselines.
    """

    texts: tuple[str, ...]
    marks: tuple[float | None, ...]
    level: int
    tied: bool | None


@dataclass(frozen=True)
class TableRow:
    """A line with its figures on the primary metric; None where `status` gives the reason for no figures."""

    number: int
    line: Line
    status: str | None
    seeds: str
    figures: Figures | None


@dataclass(frozen=True)
class ScenarioTable:
    """The table of a scenario, best line first; `missing` is the reason for no figures at all."""

    scenario: str
    about: str
    users: str
    pairs: str
    rows: tuple[TableRow, ...]
    missing: str


def scenario_tables(data: ReportData) -> list[ScenarioTable]:
    """The tables of all scenarios in the summary, on the primary metric."""
    return [
        _table(data, scenario, about)
        for scenario, about in SCENARIOS.items()
        if (scenario, data.primary) in data.figures
    ]


def other_figures(data: ReportData) -> dict[str, dict[str, list[Any]]]:
    """By metric and scenario, rows of [texts, marks, level, tied] in the order of the table's row numbers."""
    cells: dict[str, dict[str, list[Any]]] = {}
    for metric in data.metrics:
        for scenario in SCENARIOS:
            if figures := _figures(data, scenario, metric):
                rows = [figures.get((row["encoder"], row["recommender"])) for row in data.ranked(scenario)]
                cells.setdefault(metric, {})[scenario] = [row and _compact(row) for row in rows]
    return cells


def _compact(row: Figures) -> list[Any]:
    return [row.texts, row.marks, row.level, row.tied]


def _table(data: ReportData, scenario: str, about: str) -> ScenarioTable:
    rows = data.ranked(scenario)
    figures = _figures(data, scenario, data.primary)
    lines = [
        TableRow(number, line, row["status"], numbers.count(row["seeds"]), figures.get(line))
        for number, row in enumerate(rows)
        for line in [(row["encoder"], row["recommender"])]
    ]
    users, pairs = (max((row[name] or 0 for row in rows), default=0) for name in ("users", "pairs"))
    return ScenarioTable(
        scenario, about, numbers.count(users), numbers.count(pairs), tuple(lines), "" if figures else why_empty(rows)
    )


def _figures(data: ReportData, scenario: str, metric: str) -> dict[Line, Figures]:
    """The cells of every line with a value; decimals and scale are the same in all rows."""
    rows = {line: row for line, row in data.figures.get((scenario, metric), {}).items() if row["value"] is not None}
    digits = numbers.decimals(row["value"] for row in rows.values())
    marked = [[row[name] for name in ("low", "high", "chance", BASE, "value")] for row in rows.values()]
    shown = [value for marks in marked for value in marks if value is not None]
    low, high = min([0.0, *shown]), max([0.0, *shown])
    scale = 96 / (high - low or 1.0)
    places = [tuple(None if v is None else round(2 + scale * (v - low), 1) for v in marks) for marks in marked]
    finer = {  # controls are small: a column of them gets two significant digits of its own
        name: max(digits, numbers.decimals([row[name] for row in rows.values()], 2)) for name in SMALL
    }
    level = _levels(row["value"] for row in rows.values() if data.competes(row))
    return {
        line: Figures(_texts(row, digits, finer), at, level(row["value"]), row["tied"] if data.competes(row) else None)
        for (line, row), at in zip(rows.items(), places, strict=True)
    }


def _levels(values: Iterable[float]) -> Callable[[float], int]:
    """A function from a value to its level, linear between the least and the largest value."""
    known = list(values) or [0.0]
    low, high = min(known), max(known)
    span = high - low or 1.0
    return lambda value: int(min(max((value - low) / span, 0.0), 0.999) * LEVELS)


def _texts(row: Row, digits: int, finer: dict[str, int]) -> tuple[str, ...]:
    return (
        numbers.fixed(row["value"], digits),
        numbers.interval(row["low"], row["high"], digits),
        *(numbers.fixed(row[name], finer[name]) for name in SMALL),
        numbers.ratio(row["lift"]),
        numbers.signed(row["difference"], digits),
        numbers.interval(row["difference_low"], row["difference_high"], digits, sign=True),
    )
