"""The hot-versus-cold plot: one point per line that ranks both, with intervals, chance and baselines as lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from math import floor, log10

from timbrec.report.data import ReportData, Row
from timbrec.report.shared import numbers
from timbrec.report.shared.labels import Box, Label, Segment, place, width

WIDE, NARROW = (1080, 600), (350, 430)  # sizes in pixels: the width of the page, and a phone's
STYLES = 6  # colours and shapes; more recommenders than that repeat them


@dataclass(frozen=True)
class Scale:
    """From a figure to a pixel."""

    low: float
    high: float
    start: float
    stop: float

    def __call__(self, value: float) -> float:
        """The pixel of a figure."""
        return round(self.start + (value - self.low) / (self.high - self.low) * (self.stop - self.start), 1)

    @property
    def ticks(self) -> list[tuple[float, str]]:
        """About five round figures with their texts."""
        raw = (self.high - self.low) / 5
        power: float = 10.0 ** floor(log10(raw))
        step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw)
        digits = max(0, -floor(log10(step)))
        ticks = takewhile(lambda value: value <= self.high, (step * number for number in range(12)))
        return [(self(value), f"{value:.{digits}f}") for value in ticks]


@dataclass(frozen=True)
class Mark:
    """A point: its place, its intervals as segments, its style (-1 without content), texts, and its label's place."""

    x: float
    y: float
    bars: tuple[Segment, ...]
    style: int
    name: str
    tooltip: str
    label: Label | None


@dataclass(frozen=True)
class Guide:
    """A line across the plot at a figure that holds for one axis, e.g. chance or popularity."""

    line: Segment
    name: str
    kind: str
    label: Label | None


@dataclass(frozen=True)
class Plot:
    """A drawing of one size, ready for the template."""

    id: str
    width: int
    height: int
    font: int
    frame: Box
    x: Scale
    y: Scale
    marks: tuple[Mark, ...]
    guides: tuple[Guide, ...]
    summary: str

    @property
    def unlabelled(self) -> int:
        """How many points there was no room to label."""
        return sum(mark.label is None for mark in self.marks)


def styles(data: ReportData) -> dict[str, int]:
    """A style for each recommender that uses content and ranks both scenarios, in the order of the summary."""
    lines = dict.fromkeys(hot["recommender"] for hot, _ in _pairs(data) if hot["encoder"] is not None)
    return {recommender: number % STYLES for number, recommender in enumerate(lines)}


def not_shown(data: ReportData) -> list[str]:
    """The content-based lines that have a figure on one scenario alone."""
    both = {_line(hot) for hot, _ in _pairs(data)}
    rows = [*_defined(data, "hot"), *_defined(data, "cold")]
    names = dict.fromkeys(_line(row) for row in rows if row["encoder"] is not None and _line(row) not in both)
    return [f"{encoder} / {recommender}" for encoder, recommender in names]


def draw(data: ReportData, name: str, size: tuple[int, int], font: int) -> Plot | None:
    """The plot at a size in pixels; None when no line has a figure on both scenarios."""
    pairs = _pairs(data)
    if not any(hot["encoder"] is not None for hot, _ in pairs):
        return None
    pairs.sort(key=lambda pair: pair[0]["value"] * pair[1]["value"], reverse=True)
    lines = _lines(data)
    left, right, top, bottom = 4.6 * font, float(size[0] - font), float(font), size[1] - 3.6 * font
    x = Scale(
        *_range([hot for hot, _ in pairs], [value for _, scenario, value in lines if scenario == "hot"]), left, right
    )
    y = Scale(
        *_range([cold for _, cold in pairs], [value for _, scenario, value in lines if scenario == "cold"]), bottom, top
    )
    frame = Box((left + right) / 2, (top + bottom) / 2, (right - left) / 2, (bottom - top) / 2)
    marks, guides = _labelled(pairs, lines, x, y, frame, font, styles(data))
    return Plot(name, *size, font, frame, x, y, marks, guides, _summary(pairs))


def _pairs(data: ReportData) -> list[tuple[Row, Row]]:
    """The (hot, cold) rows of every line that has both figures."""
    cold = {_line(row): row for row in _defined(data, "cold")}
    return [(row, cold[_line(row)]) for row in _defined(data, "hot") if _line(row) in cold]


def _lines(data: ReportData) -> list[tuple[str, str, float]]:
    """(name, scenario, figure) of lines on one axis: chance, recommenders without content that rank one scenario."""
    both = {_line(hot) for hot, _ in _pairs(data)}
    found = []
    for scenario in ("hot", "cold"):
        rows = _defined(data, scenario)
        chances = [row["chance"] for row in rows if row["encoder"] is not None and row["chance"] is not None]
        found += [("chance", scenario, chances[0])] if chances else []
        alone = [row for row in rows if row["encoder"] is None and _line(row) not in both]
        found += [(row["recommender"], scenario, row["value"]) for row in alone]
    return found


def _labelled(
    pairs: list[tuple[Row, Row]], lines: list[tuple[str, str, float]], x: Scale, y: Scale, frame: Box, font: int,
    style: dict[str, int],
) -> tuple[tuple[Mark, ...], tuple[Guide, ...]]:  # fmt: skip
    """Points and lines in pixels with their labels: the lines' first, then the best points'."""
    top, right = frame.y - frame.h, frame.x + frame.w
    segments: list[Segment] = [
        (x(value), y.start, x(value), top) if scenario == "hot" else (x.start, y(value), right, y(value))
        for _, scenario, value in lines
    ]
    places = [(x(hot["value"]), y(cold["value"])) for hot, cold in pairs]
    bars = [_bars(hot, cold, x, y) for hot, cold in pairs]
    texts = [name for name, _, _ in lines] + [hot["encoder"] or hot["recommender"] for hot, _ in pairs]
    longest = 12 + int(frame.w / 40)  # characters; the whole name is in the point's tooltip
    texts = [text if len(text) <= longest else f"{text[: longest - 1]}…" for text in texts]
    ends = [(x2, y2 + font) if x1 == x2 else (x2 - 2 * font, y2) for x1, _, x2, y2 in segments]
    anchors = [(*at, width(text, font), 1.25 * font) for at, text in zip([*ends, *places], texts, strict=True)]
    obstacles = [*segments, *(bar for both in bars for bar in both)]
    labels = place(anchors, frame, [Box(*at, 5.0, 5.0) for at in places], obstacles)
    guides = tuple(
        Guide(segment, text, "chance" if name == "chance" else "baseline", label)
        for segment, text, (name, _, _), label in zip(segments, texts, lines, labels, strict=False)
    )
    marks = tuple(
        Mark(*at, both, style.get(hot["recommender"], -1) if hot["encoder"] is not None else -1, text,
             _tooltip(hot, cold), label)
        for (hot, cold), at, both, text, label in zip(
            pairs, places, bars, texts[len(lines) :], labels[len(lines) :], strict=True)
    )  # fmt: skip
    return marks, guides


def _bars(hot: Row, cold: Row, x: Scale, y: Scale) -> tuple[Segment, ...]:
    """The intervals of a point, those that there are."""
    at_x, at_y = x(hot["value"]), y(cold["value"])
    across = [(x(hot["low"]), at_y, x(hot["high"]), at_y)] if _bounded(hot) else []
    upright = [(at_x, y(cold["low"]), at_x, y(cold["high"]))] if _bounded(cold) else []
    return (*across, *upright)


def _range(rows: Sequence[Row], lines: list[float]) -> tuple[float, float]:
    """From 0, or below where an interval reaches below, to a little above the highest limit."""
    limits = [row[name] for row in rows for name in ("low", "high", "value") if row[name] is not None] + lines
    return min(0.0, *limits), max(limits) * 1.04 or 1.0


def _tooltip(hot: Row, cold: Row) -> str:
    name = " / ".join(part for part in (hot["encoder"], hot["recommender"]) if part)
    return f"{name}: hot {_figure(hot)}, cold {_figure(cold)}"


def _figure(row: Row) -> str:
    digits = numbers.decimals([row["value"]])
    limits = f" {numbers.interval(row['low'], row['high'], digits)}" if _bounded(row) else ""
    return f"{numbers.fixed(row['value'], digits)}{limits}"


def _summary(pairs: list[tuple[Row, Row]]) -> str:
    """The plot in words, for those who cannot see it."""
    contents = [pair for pair in pairs if pair[0]["encoder"] is not None]
    right = _tooltip(*max(contents, key=lambda pair: pair[0]["value"]))
    up = _tooltip(*max(contents, key=lambda pair: pair[1]["value"]))
    return f"{len(contents)} points. Furthest right (best hot): {right}. Highest (best cold): {up}."


def _defined(data: ReportData, scenario: str) -> list[Row]:
    rows = data.figures.get((scenario, data.primary), {}).values()
    return [row for row in rows if row["value"] is not None]


def _line(row: Row) -> tuple[str | None, str]:
    return row["encoder"], row["recommender"]


def _bounded(row: Row) -> bool:
    return row["low"] is not None and row["high"] is not None
