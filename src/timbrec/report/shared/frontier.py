"""The cost frontier: cost of each encoder against its best figure, and a line through the best at each cost."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import floor, log10
from typing import NamedTuple

import polars as pl

from timbrec.report.data import ReportData
from timbrec.report.shared import numbers
from timbrec.report.shared.drawing import Name, Scale, colours
from timbrec.report.shared.labels import Box, place, width
from timbrec.report.shared.panel import Panel, PanelMark, Tick, across, frame_of, upright
from timbrec.results.cost import measure_of

MEASURES = {
    "gflop_per_second": "GFLOP per second of audio",
    "seconds_per_track": "seconds per track",
    "dim": "dimensions of a vector",
}
_WIDTH, _HEIGHT, _FONT = 430, 320, 12


class Choice(NamedTuple):
    """An encoder with its cost, its best figure and the recommender that reaches it."""

    encoder: str
    recommender: str
    cost: float
    value: float
    tied: bool


def choices(data: ReportData, table: pl.DataFrame, scenario: str, recommender: str | None = None) -> list[Choice]:
    """The best figure of each encoder of known cost, with any recommender or with one; cheapest first."""
    best: dict[str, dict[str, object]] = {}
    for row in data.ranked(scenario):
        if data.competes(row) and row["value"] is not None and recommender in (None, row["recommender"]):
            best.setdefault(row["encoder"], row)
    table = table.filter(pl.col("encoder").is_in(list(best)))
    costs = {} if table.is_empty() else dict(table.select("encoder", measure_of(table)).drop_nulls().iter_rows())
    rows = [
        Choice(name, str(row["recommender"]), float(costs[name]), float(str(row["value"])), bool(row["tied"]))
        for name, row in best.items()
        if name in costs
    ]
    return sorted(rows, key=lambda choice: (choice.cost, -choice.value))


def unbeaten(ordered: Sequence[Choice]) -> list[Choice]:
    """The choices that no choice of the same or a lower cost reaches, in order."""
    kept: list[Choice] = []
    for choice in ordered:
        if not kept or choice.value > kept[-1].value:
            kept.append(choice)
    return kept


def frontier(data: ReportData, table: pl.DataFrame, scenario: str, recommender: str | None = None) -> Panel | None:
    """The drawing of a scenario; None with fewer than two encoders of known cost."""
    ordered = choices(data, table, scenario, recommender)
    if len(ordered) < 2:
        return None
    measure = MEASURES[measure_of(table.filter(pl.col("encoder").is_in([choice.encoder for choice in ordered])))]
    frame = frame_of(_WIDTH, _HEIGHT, _FONT)
    x = _Costs([choice.cost for choice in ordered], frame)
    y = upright(frame, 0.0, max(choice.value for choice in ordered) * 1.08 or 1.0)
    marks, best = tuple(_mark(data, choice, x, y) for choice in ordered), unbeaten(ordered)
    corners = _corners([(x(choice.cost), y(choice.value)) for choice in best], frame.x + frame.w)
    line = "M" + "L".join(f"{left} {up}" for left, up in corners)
    return Panel(
        _WIDTH, _HEIGHT, _FONT, frame, x.ticks, tuple(y.ticks), f"{measure} →", f"{scenario} {data.primary} →",
        (("frontier", line),), marks, tuple(_names(data, ordered, marks, frame, corners)),
        f"{scenario.capitalize()} {data.primary} against {measure}{f', {recommender}' if recommender else ''}.",
        f"Better than everything cheaper: {', '.join(choice.encoder for choice in best)}.",
    )  # fmt: skip


class _Costs:
    """A logarithmic scale of costs, in pixels; a cost of 0 stands at its left end."""

    def __init__(self, costs: Sequence[float], frame: Box) -> None:
        known = [log10(cost) for cost in costs if cost > 0] or [0.0]
        self.zero = min(costs) == 0
        self.scale = across(frame, min(known) - (0.75 if self.zero else 0.25), max(known) + 0.25)

    def __call__(self, cost: float) -> float:
        return self.scale(log10(cost) if cost > 0 else self.scale.low)

    @property
    def ticks(self) -> tuple[Tick, ...]:
        """A tick per power of ten, and at 2 and 5 times a power where the scale is short."""
        low, high = self.scale.low + (0.45 if self.zero else 0.0), self.scale.high
        factors = (1, 2, 5) if high - low < 1.5 else (1,)
        costs = [factor * 10.0**power for power in range(floor(low), floor(high) + 1) for factor in factors]
        ticks = [(self(cost), f"{cost:,g}") for cost in costs if low <= log10(cost) <= high]
        return ((self(0.0), "0"), *ticks) if self.zero else tuple(ticks)


def _mark(data: ReportData, choice: Choice, x: _Costs, y: Scale) -> PanelMark:
    figure = numbers.fixed(choice.value, numbers.decimals([choice.value]))
    tied = ", tied with the best" if choice.tied else ""
    text = f"{choice.encoder}: {figure} with {choice.recommender}, cost {choice.cost:,.3g}{tied}"
    style = f"s{colours(data)[choice.encoder]}{' tied' if choice.tied else ''}"
    return PanelMark(x(choice.cost), y(choice.value), style, text)


def _corners(points: Sequence[tuple[float, float]], end: float) -> list[tuple[float, float]]:
    """The corners of a staircase that leads through the points and on to the right."""
    steps = [(after[0], before[1]) for before, after in pairwise(points)]
    inner = [corner for pair in zip(points, steps, strict=False) for corner in pair]
    return [*inner, points[-1], (end, points[-1][1])]


def _names(
    data: ReportData,
    ordered: Sequence[Choice],
    marks: Sequence[PanelMark],
    frame: Box,
    corners: Sequence[tuple[float, float]],
) -> list[Name]:
    texts = [name if len(name) <= 20 else f"{name[:19]}…" for name in (choice.encoder for choice in ordered)]
    anchors = [(mark.x, mark.y, width(text, _FONT), 1.25 * _FONT) for mark, text in zip(marks, texts, strict=True)]
    lines = [(*before, *after) for before, after in pairwise(corners)]
    labels = place(anchors, frame, [Box(mark.x, mark.y, 5.0, 5.0) for mark in marks], lines)
    hues = [colours(data)[choice.encoder] for choice in ordered]
    return [Name(text, label, hue) for text, label, hue in zip(texts, labels, hues, strict=True) if label]
