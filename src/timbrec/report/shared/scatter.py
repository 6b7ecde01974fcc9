"""Small scatter plots: a point per encoder, with the intervals of both of its figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from timbrec.report.shared import numbers
from timbrec.report.shared.drawing import Mark, Name, Scale
from timbrec.report.shared.labels import Box, Segment, place, width

SIZE, FONT = (340, 290), 10  # pixels: two or three beside each other on a page, one on a phone


@dataclass(frozen=True)
class Point:
    """An encoder's figures across and upright, each with its limits (None where unknown), and its colour."""

    name: str
    across: tuple[float, float | None, float | None]
    upright: tuple[float, float | None, float | None]
    colour: int | None


@dataclass(frozen=True)
class Scatter:
    """A drawing for the template: axes, marks and placed names; `summary` is the plot in words."""

    frame: Box
    x: Scale
    y: Scale
    marks: tuple[Mark, ...]
    names: tuple[Name, ...]
    summary: str


def scatter(points: Sequence[Point], recommender: str) -> Scatter:
    """The plot of at least one point; `recommender` is the value of the page's filter that shows it."""
    left, right, top, bottom = 4.4 * FONT, SIZE[0] - 1.0 * FONT, 1.0 * FONT, SIZE[1] - 3.6 * FONT
    x = Scale(*_range([point.across for point in points]), left, right)
    y = Scale(*_range([point.upright for point in points]), bottom, top)
    frame = Box((left + right) / 2, (top + bottom) / 2, (right - left) / 2, (bottom - top) / 2)
    marks = tuple(_mark(point, x, y, recommender) for point in points)
    bars = [bar for mark in marks for bar in mark.bars]
    texts = [point.name if len(point.name) <= 22 else f"{point.name[:21]}…" for point in points]
    anchors = [(mark.x, mark.y, width(text, FONT), 1.25 * FONT) for mark, text in zip(marks, texts, strict=True)]
    labels = place(anchors, frame, [Box(mark.x, mark.y, 5.0, 5.0) for mark in marks], bars)
    names = tuple(
        Name(text, label, mark.colour) for text, label, mark in zip(texts, labels, marks, strict=True) if label
    )
    return Scatter(frame, x, y, marks, names, "; ".join(mark.text for mark in marks))


def _mark(point: Point, x: Scale, y: Scale, recommender: str) -> Mark:
    at_x, at_y = x(point.across[0]), y(point.upright[0])
    _, low, high = point.across
    bars: list[Segment] = [] if low is None or high is None else [(x(low), at_y, x(high), at_y)]
    _, low, high = point.upright
    bars += [] if low is None or high is None else [(at_x, y(low), at_x, y(high))]
    text = f"{point.name}: {_figure(point.across)} across, {_figure(point.upright)} up"
    return Mark(at_x, at_y, tuple(bars), point.colour, 0, recommender, text)


def _figure(figure: tuple[float, float | None, float | None]) -> str:
    digits = numbers.decimals([figure[0]])
    limits = numbers.interval(figure[1], figure[2], digits)
    return numbers.fixed(figure[0], digits) + ("" if limits == numbers.NONE else f" {limits}")


def _range(figures: Sequence[tuple[float, float | None, float | None]]) -> tuple[float, float]:
    """From a little below the lowest figure or limit to a little above the highest."""
    limits = [value for figure in figures for value in figure if value is not None]
    margin = 0.05 * (max(limits) - min(limits)) or 0.05
    return min(limits) - margin, max(limits) + margin
