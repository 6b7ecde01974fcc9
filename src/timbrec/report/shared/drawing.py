"""The hot-cold plot: a point per line with both figures; colour is the encoder, shape the recommender."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from math import floor, log10

from timbrec.report.data import Line, ReportData, Row
from timbrec.report.shared import numbers
from timbrec.report.shared.labels import Box, Label, Segment, place, width
from timbrec.study.naming import line_name

WIDE, NARROW = (1080, 600), (350, 430)  # sizes in pixels: the width of the page, and of a phone
MANY = 15  # with more points than this, intervals would hide the points
COLOURS, SHAPES = 10, 8  # more encoders or recommenders repeat them


@dataclass(frozen=True)
class Scale:
    """A linear map from figures to pixels."""

    low: float
    high: float
    start: float
    stop: float

    def __call__(self, value: float) -> float:
        """The pixel of a figure."""
        return round(self.start + (value - self.low) / (self.high - self.low) * (self.stop - self.start), 1)

    @property
    def ticks(self) -> list[tuple[float, str]]:
        """About five round figures with their texts, from 0 or the lowest round figure on."""
        raw = (self.high - self.low) / 5
        power: float = 10.0 ** floor(log10(raw))
        step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw)
        digits = max(0, -floor(log10(step)))
        first = -floor(-self.low / step)
        ticks = takewhile(lambda value: value <= self.high, (step * (first + number) for number in range(12)))
        return [(self(value), f"{value:.{digits}f}".replace("-", "−")) for value in ticks]


@dataclass(frozen=True)
class Mark:
    """A point with its intervals as segments; `colour` and `shape` are None for a baseline."""

    x: float
    y: float
    bars: tuple[Segment, ...]
    colour: int | None
    shape: int
    recommender: str
    text: str


@dataclass(frozen=True)
class Guide:
    """A line across the plot at a figure with one axis only, such as chance or popularity."""

    line: Segment
    name: str
    kind: str


@dataclass(frozen=True)
class Name:
    """A placed label; `colour` is that of an encoder, None for a baseline."""

    text: str
    label: Label
    colour: int | None


@dataclass(frozen=True)
class Plot:
    """A drawing of one size for the template.

    `names` holds the labels to show for each choice of the recommender filter, None standing for all recommenders.
    """

    id: str
    metric: str
    width: int
    height: int
    font: int
    frame: Box
    x: Scale
    y: Scale
    marks: tuple[Mark, ...]
    guides: tuple[Guide, ...]
    names: dict[str | None, list[Name]]
    summary: str


def colours(data: ReportData) -> dict[str, int]:
    """A colour for each encoder, in the order of the summary."""
    names = data.summary["encoder"].drop_nulls().unique(maintain_order=True)
    return {encoder: number % COLOURS for number, encoder in enumerate(names)}


def shapes(data: ReportData) -> dict[str, int]:
    """A shape for each recommender that uses content, in the order of the summary."""
    rows = data.summary.drop_nulls("encoder")["recommender"].unique(maintain_order=True)
    return {recommender: number % SHAPES for number, recommender in enumerate(rows)}


def not_shown(data: ReportData, metric: str) -> list[str]:
    """The audio models with a figure in one scenario only."""
    shown = {_line(hot) for hot, _ in _pairs(data, metric)}
    rows = [*_defined(data, "hot", metric), *_defined(data, "cold", metric)]
    names = dict.fromkeys(_line(row) for row in rows if row["encoder"] is not None and _line(row) not in shown)
    return [line_name(*name) for name in names]


def draw(data: ReportData, metric: str, name: str, size: tuple[int, int], font: int) -> Plot | None:
    """The plot of a metric at a size in pixels; None where no audio model has figures in both scenarios."""
    pairs = _pairs(data, metric)
    if not any(hot["encoder"] is not None for hot, _ in pairs):
        return None
    pairs.sort(key=lambda pair: pair[0]["value"] * pair[1]["value"], reverse=True)
    lines = _lines(data, metric)
    whiskers = len(pairs) <= MANY
    left, right, top, bottom = 4.6 * font, float(size[0] - font), float(font), size[1] - 3.6 * font
    across = _range([hot for hot, _ in pairs], [value for _, axis, value in lines if axis == "hot"], whiskers)
    upright = _range([cold for _, cold in pairs], [value for _, axis, value in lines if axis == "cold"], whiskers)
    x, y = Scale(*across, left, right), Scale(*upright, bottom, top)
    frame = Box((left + right) / 2, (top + bottom) / 2, (right - left) / 2, (bottom - top) / 2)
    colour, shape = colours(data), shapes(data)
    marks = tuple(
        Mark(
            x(hot["value"]), y(cold["value"]), _bars(hot, cold, x, y) if whiskers else (),
            colour.get(hot["encoder"]), shape.get(hot["recommender"], 0), hot["recommender"], _text(hot, cold),
        )
        for hot, cold in pairs
    )  # fmt: skip
    guides = tuple(
        Guide(
            (x(value), bottom, x(value), top) if axis == "hot" else (left, y(value), right, y(value)),
            label, "chance" if label == "chance" else "baseline",
        )
        for label, axis, value in lines
    )  # fmt: skip
    names = _names(pairs, marks, guides, frame, font)
    return Plot(name, metric, *size, font, frame, x, y, marks, guides, names, _summary(pairs))


def _pairs(data: ReportData, metric: str) -> list[tuple[Row, Row]]:
    """The (hot, cold) rows of every line with both figures."""
    cold = {_line(row): row for row in _defined(data, "cold", metric)}
    return [(row, cold[_line(row)]) for row in _defined(data, "hot", metric) if _line(row) in cold]


def _lines(data: ReportData, metric: str) -> list[tuple[str, str, float]]:
    """(name, scenario, figure) of guides: chance, and baselines without content that rank one scenario only."""
    paired = {_line(hot) for hot, _ in _pairs(data, metric)}
    lines = []
    for scenario in ("hot", "cold"):
        rows = _defined(data, scenario, metric)
        chances = [row["chance"] for row in rows if row["encoder"] is not None and row["chance"] is not None]
        lines += [("chance", scenario, chances[0])] if chances else []
        alone = [row for row in rows if row["encoder"] is None and _line(row) not in paired]
        lines += [(row["recommender"], scenario, row["value"]) for row in alone]
    return lines


def _names(
    pairs: list[tuple[Row, Row]], marks: Sequence[Mark], guides: Sequence[Guide], frame: Box, font: int
) -> dict[str | None, list[Name]]:
    """The labels of guides, of baselines, and of each encoder's best point, for every choice of recommender."""
    recommenders = dict.fromkeys(hot["recommender"] for hot, _ in pairs if hot["encoder"] is not None)
    choices: list[str | None] = [None, *(recommenders if len(recommenders) > 1 else ())]
    return {choice: _placed(_shown(pairs, marks, choice), marks, guides, frame, font) for choice in choices}


def _shown(pairs: list[tuple[Row, Row]], marks: Sequence[Mark], recommender: str | None) -> dict[str, Mark]:
    """The points to label: the best one of each encoder with a recommender, and each baseline."""
    points: dict[str, Mark] = {}
    for (hot, _), mark in zip(pairs, marks, strict=True):
        if hot["encoder"] is None:
            points[hot["recommender"]] = mark
        elif recommender in (None, hot["recommender"]):
            points.setdefault(hot["encoder"], mark)
    return points


def _placed(
    points: dict[str, Mark], marks: Sequence[Mark], guides: Sequence[Guide], frame: Box, font: int
) -> list[Name]:
    """Labels that lie off each other and off all points; texts without room are left out."""
    ends = [(x2, y2 + font) if x1 == x2 else (x2 - 2 * font, y2) for x1, _, x2, y2 in (guide.line for guide in guides)]
    longest = 12 + int(frame.w / 40)  # characters; hovering shows the whole name
    texts = [_cut(text, longest) for text in (*(guide.name for guide in guides), *points)]
    at = [*ends, *((mark.x, mark.y) for mark in points.values())]
    anchors = [(*place, width(text, font), 1.25 * font) for place, text in zip(at, texts, strict=True)]
    obstacles = [*(guide.line for guide in guides), *(bar for mark in marks for bar in mark.bars)]
    labels = place(anchors, frame, [Box(mark.x, mark.y, 5.0, 5.0) for mark in marks], obstacles)
    colour: Iterable[int | None] = [*(None for _ in guides), *(mark.colour for mark in points.values())]
    return [Name(text, label, hue) for text, label, hue in zip(texts, labels, colour, strict=True) if label]


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def _bars(hot: Row, cold: Row, x: Scale, y: Scale) -> tuple[Segment, ...]:
    """The defined intervals of a point, as segments."""
    at_x, at_y = x(hot["value"]), y(cold["value"])
    across = [(x(hot["low"]), at_y, x(hot["high"]), at_y)] if _bounded(hot) else []
    upright = [(at_x, y(cold["low"]), at_x, y(cold["high"]))] if _bounded(cold) else []
    return (*across, *upright)


def _range(rows: Sequence[Row], lines: list[float], whiskers: bool) -> tuple[float, float]:
    """From 0, or below where a limit is negative, to a little above the highest figure or limit."""
    columns = ("low", "high", "value") if whiskers else ("value",)
    limits = [row[name] for row in rows for name in columns if row[name] is not None] + lines
    return min(0.0, *limits), max(limits) * 1.04 or 1.0


def _text(hot: Row, cold: Row) -> str:
    return f"{line_name(hot['encoder'], hot['recommender'])}: hot {_figure(hot)}, cold {_figure(cold)}"


def _figure(row: Row) -> str:
    digits = numbers.decimals([row["value"]])
    limits = f" {numbers.interval(row['low'], row['high'], digits)}" if _bounded(row) else ""
    return f"{numbers.fixed(row['value'], digits)}{limits}"


def _summary(pairs: list[tuple[Row, Row]]) -> str:
    """The plot in words, for screen readers."""
    contents = [pair for pair in pairs if pair[0]["encoder"] is not None]
    right = _text(*max(contents, key=lambda pair: pair[0]["value"]))
    up = _text(*max(contents, key=lambda pair: pair[1]["value"]))
    return f"{len(contents)} points. Furthest right (best hot): {right}. Highest (best cold): {up}."


def _defined(data: ReportData, scenario: str, metric: str) -> list[Row]:
    rows = data.figures.get((scenario, metric), {}).values()
    return [row for row in rows if row["value"] is not None]


def _line(row: Row) -> Line:
    return row["encoder"], row["recommender"]


def _bounded(row: Row) -> bool:
    return row["low"] is not None and row["high"] is not None
