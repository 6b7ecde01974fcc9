"""Curves of thinning: the lead of recommendation by plays over audio, by the number of plays of an item."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import log1p
from typing import Any

from timbrec.report.shared.drawing import Scale
from timbrec.report.shared.panel import Panel, PanelMark, across, frame_of, upright
from timbrec.results.thinning import sentence
from timbrec.study.naming import line_name

_WIDTH, _HEIGHT, _FONT = 340, 220, 11


def curve(
    rows: Sequence[Mapping[str, Any]], span: tuple[float, float], metric: str, most: int, hue: int
) -> Panel | None:
    """The difference of a pair of lines by level, with its intervals and the crossing; None without a difference.

    `rows` are the rows of results.thinning of one pair. `span` is the vertical scale; the horizontal one is
    log(1 + plays). The thick line on 0 is the interval of the crossing, up to the edge where it is open.
    """
    rows = [row for row in rows if row["difference"] is not None and row["low"] is not None]
    if not rows:
        return None
    frame = frame_of(_WIDTH, _HEIGHT, _FONT)
    plays = [row["plays"] for row in rows]
    x, y = across(frame, log1p(min(plays)) - 0.1, log1p(most) + 0.1), upright(frame, *span)
    at = [x(log1p(number)) for number in plays]
    ys = [y(row["difference"]) for row in rows]
    points = [PanelMark(left, up, f"s{hue}", _text(row)) for left, up, row in zip(at, ys, rows, strict=True)]
    return Panel(
        _WIDTH, _HEIGHT, _FONT, frame, tuple((x(log1p(number)), str(number)) for number in plays), tuple(y.ticks),
        "plays per item →", f"{metric} ahead →", (*_band(at, rows, y), *_crossing(rows[0], x, y)), tuple(points), (),
        sentence(dict(rows[0]), most),
        f"{rows[0]['against']} minus {line_name(rows[0]['encoder'], rows[0]['recommender'])}.",
    )  # fmt: skip


def _band(at: Sequence[float], rows: Sequence[Mapping[str, Any]], y: Scale) -> list[tuple[str, str]]:
    """The area of the intervals, the line of the differences, and the line at 0."""
    upper = [f"{place} {y(row['high'])}" for place, row in zip(at, rows, strict=True)]
    lower = [f"{place} {y(row['low'])}" for place, row in zip(at, rows, strict=True)]
    middle = [f"{place} {y(row['difference'])}" for place, row in zip(at, rows, strict=True)]
    ends = f"M{at[0]} {y(0.0)}H{at[-1]}"
    return [("band", f"M{'L'.join([*upper, *reversed(lower)])}Z"), ("zero", ends), ("curve", f"M{'L'.join(middle)}")]


def _crossing(row: Mapping[str, Any], x: Scale, y: Scale) -> list[tuple[str, str]]:
    """The crossing and its interval on the line at 0; nothing where it is not reached."""
    if row["crossing"] is None:
        return []
    start = x.start if row["crossing_low"] is None else x(log1p(row["crossing_low"]))
    stop = x.stop if row["crossing_high"] is None else x(log1p(row["crossing_high"]))
    middle, zero = x(log1p(row["crossing"])), y(0.0)
    return [("crossing", f"M{start} {zero}H{stop}M{middle} {zero - 6}V{zero + 6}")]


def _text(row: Mapping[str, Any]) -> str:
    return f"{row['plays']} plays: {row['difference']:+.4f} [{row['low']:+.4f}, {row['high']:+.4f}]"
