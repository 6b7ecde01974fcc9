"""The summary: one wide row per line, scenario and metric, with its controls beside it."""

from __future__ import annotations

import polars as pl

from timbrec.results.figures import Figures
from timbrec.study.controls import CONTROLS, REAL

BASE = "shuffled"  # the control that `lift` and `difference` are over
_KEY = ["encoder", "recommender", "scenario", "metric"]
SUMMARY = {
    **dict.fromkeys(_KEY, pl.String),
    **dict.fromkeys(["value", "low", "high", "chance", *CONTROLS, "lift"], pl.Float64),
    **dict.fromkeys(["difference", "difference_low", "difference_high"], pl.Float64),
    "tied": pl.Boolean,
    **dict.fromkeys(["users", "pairs", "seeds"], pl.Int64),
    "status": pl.String,
}


def summarise(figures: Figures) -> pl.DataFrame:
    """Values on real vectors and on each control, and the gain over shuffled vectors, side by side.

    One row per (encoder, recommender, scenario, metric), in the order of the standings. Null where something is not
    defined; `status` says why a row has no value.
    """
    rows = figures.standings.filter(control=REAL)
    for control in CONTROLS:
        values = figures.standings.filter(control=control).select(*_KEY, pl.col("value").alias(control))
        rows = _joined(rows, values)
    gains = figures.gains.filter(control=BASE).select(
        *_KEY, "lift", "difference", pl.col("low").alias("difference_low"), pl.col("high").alias("difference_high")
    )
    return _joined(rows, gains).select(*SUMMARY).match_to_schema(SUMMARY)


def _joined(rows: pl.DataFrame, others: pl.DataFrame) -> pl.DataFrame:
    return rows.join(others, on=_KEY, how="left", nulls_equal=True, maintain_order="left")
