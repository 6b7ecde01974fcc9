"""Forest plots: differences with their intervals on one scale, one row each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import isfinite

from timbrec.report.shared import numbers


@dataclass(frozen=True)
class Difference:
    """A difference to show; `low` and `high` are None without an interval.

    `group` is a subheading of the plot, `recommender` the value of the page's filter that shows the row ("" for all).
    """

    name: str
    value: float
    low: float | None = None
    high: float | None = None
    group: str = ""
    recommender: str = ""


@dataclass(frozen=True)
class ForestRow:
    """A row of the plot: texts, places in per cent of the width, and "above", "below" or "open" for its relation to 0.

    `limits` are None without an interval.
    """

    name: str
    group: str
    recommender: str
    value: str
    interval: str
    place: float
    limits: tuple[float, float] | None
    side: str


@dataclass(frozen=True)
class Forest:
    """A forest plot for the template `part.forest_plot(forest, caption)`; `zero` is the place of 0 in per cent."""

    rows: tuple[ForestRow, ...]
    zero: float


def forest(differences: Iterable[Difference]) -> Forest:
    """The plot of differences in the given order, on one scale that includes 0."""
    rows = list(differences)
    low, high = _span(rows)
    digits = numbers.decimals(row.value for row in rows)

    def place(value: float) -> float:
        return round(2 + 96 * (value - low) / (high - low), 1)

    return Forest(tuple(_row(row, place(row.value), _limits(row, place), digits) for row in rows), place(0.0))


def _limits(row: Difference, place: Callable[[float], float]) -> tuple[float, float] | None:
    if row.low is None or row.high is None or not (isfinite(row.low) and isfinite(row.high)):
        return None
    return place(row.low), place(row.high)


def _row(row: Difference, place: float, limits: tuple[float, float] | None, digits: int) -> ForestRow:
    side = "open"
    if limits is not None and row.low is not None and row.high is not None:
        side = "above" if row.low > 0 else "below" if row.high < 0 else "open"
    return ForestRow(
        row.name, row.group, row.recommender, numbers.signed(row.value, digits),
        numbers.interval(row.low, row.high, digits, sign=True), place, limits, side,
    )  # fmt: skip


def _span(rows: Sequence[Difference]) -> tuple[float, float]:
    values = [
        value for row in rows for value in (row.value, row.low, row.high) if value is not None and isfinite(value)
    ]
    low, high = min([0.0, *values]), max([0.0, *values])
    return (low, high) if high > low else (-1.0, 1.0)
