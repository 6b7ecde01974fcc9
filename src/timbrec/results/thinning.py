"""How many plays an item needs until recommendation by plays overtakes recommendation by content."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl

from timbrec.metrics import metric_of
from timbrec.ranking.outcomes import outcome
from timbrec.results.figures import Figures
from timbrec.results.table import limits_of
from timbrec.statistics.comparison import compare
from timbrec.statistics.influence import Influence, influence
from timbrec.statistics.intervals import Interval
from timbrec.study.cells.thinning import thinned_task
from timbrec.study.naming import line_name
from timbrec.study.runs import Run
from timbrec.types import Progress

COLUMNS = {
    "encoder": pl.String, "recommender": pl.String, "plays": pl.Int64, "value": pl.Float64, "against": pl.String,
    "difference": pl.Float64, "low": pl.Float64, "high": pl.Float64, "crossing": pl.Float64,
    "crossing_low": pl.Float64, "crossing_high": pl.Float64,
}  # fmt: skip


def thinning(run: Run, figures: Figures, progress: Progress | None = None) -> pl.DataFrame | None:
    """A row per line with content, recommender without content (`against`) and level; None without thinning cells.

    `value` is the primary metric of the line with content, `difference` the other line minus it, with its own 95 %
    interval, null where the other line cannot rank the items. `crossing` is the number of plays at which the
    difference changes its sign, with an interval; null where it is not reached.
    """
    cells = [item for item in run.finished if item.kind == "thinning"]
    plain = [item for item in cells if item.representation is None]
    if not cells:
        return None
    metric, train = metric_of(run.facts["config"]["primary"]), run.split.test.train
    task = thinned_task(run.split, cells[0].plays)
    levels = cells[0].plays

    def judged(item: Any) -> dict[int, Influence]:
        records = run.read(item, [f"plays-{level}" for level in levels]).records
        lists = {
            level: records[f"plays-{level}"]["items"].to_numpy() for level in levels if f"plays-{level}" in records
        }
        return {
            level: influence([outcome(items.astype(np.int64), task, train)], task, metric, run.artists)
            for level, items in lists.items()
        }

    others = {item.label: judged(item) for item in plain}
    rows: list[dict[str, Any]] = []
    for item in cells:
        if item.representation is None:
            continue
        own = judged(item)
        key = {"encoder": item.encoder, "recommender": item.label}
        for label, other in others.items() or [("", {})]:
            gains = {level: compare([other[level], own[level]]).contrast(np.array([1.0, -1.0]))
                     for level in levels if level in other}  # fmt: skip
            point, low, high = crossing(list(gains), list(gains.values()))
            where = {"crossing": point, "crossing_low": low, "crossing_high": high}
            for level in levels:
                row = key | where | {"plays": level, "value": own[level].value, "against": label or None}
                if level in gains:
                    row |= {"difference": gains[level].value, **limits_of(gains[level])}
                rows.append(row)
    return pl.DataFrame(rows, schema=COLUMNS)


def crossing(levels: Sequence[int], gains: Sequence[Interval]) -> tuple[float | None, float | None, float | None]:
    """The number of plays from which the gain is positive, with the limits of its 95 % interval.

    Interpolated on log(1 + plays). The limits are the crossings of the upper and of the lower limits of the gains: the
    interval holds every number of plays at which a gain of 0 is not excluded. None where a line does not cross 0; a
    line that is positive from the first level on crosses there.
    """
    point, low, high = ([getattr(gain, part) for gain in gains] for part in ("value", "high", "low"))
    return _crossed(levels, point), _crossed(levels, low), _crossed(levels, high)


def sentence(row: dict[str, Any], most: int) -> str:
    """The finding of a line with content against a line without, in one sentence; `most` is the largest level."""
    audio = line_name(row["encoder"], row["recommender"])
    if row["crossing"] is None:
        return f"{row['against']} does not overtake {audio} within {most} plays."
    low = "fewer" if row["crossing_low"] is None else f"{row['crossing_low']:.0f}"
    high = f"more than {most}" if row["crossing_high"] is None else f"{row['crossing_high']:.0f}"
    return f"{row['against']} overtakes {audio} at about {row['crossing']:.0f} plays (95 % interval {low} to {high})."


def _crossed(levels: Sequence[int], values: Sequence[float]) -> float | None:
    """The first place from which all values are positive, by linear interpolation on log(1 + level)."""
    if not values or values[-1] <= 0 or np.isnan(values).any():
        return None
    last = max((place for place, value in enumerate(values) if value <= 0), default=-1)
    if last < 0:
        return float(levels[0])
    (a, b), (low, high) = next(
        ((np.log1p(pair[0]), np.log1p(pair[1])), ends)
        for number, (pair, ends) in enumerate(zip(pairwise(levels), pairwise(values), strict=True))
        if number == last
    )
    return float(np.expm1(a + (b - a) * -low / (high - low)))
