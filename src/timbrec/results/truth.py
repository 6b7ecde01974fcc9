"""Taste in the vectors of a synthetic world, beside the figures of its run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from timbrec.results.figures import Figures
from timbrec.results.freshness import keep_rows, kept_rows
from timbrec.results.lines import baselines
from timbrec.study.naming import line_name
from timbrec.study.runs import Run
from timbrec.study.truth import TRUTH, shares_of_taste
from timbrec.types import Progress

if TYPE_CHECKING:
    from timbrec.study.inputs import Inputs

AGREEMENT = {
    "scenario": pl.String, "recommender": pl.String, "encoder": pl.String, "taste": pl.Float64, "value": pl.Float64,
    "separated": pl.Int64, "agreeing": pl.Int64,
}  # fmt: skip
_FILE = "truth.json"


def write_truth(run: Run, inputs: Inputs) -> None:
    """Store the share of each factor of taste in the vectors, unless it is stored for these inputs.

    Without a known truth, nothing is written.
    """
    if (taste := inputs.truth) is None:
        (run.folder / _FILE).unlink(missing_ok=True)
    else:
        keep_rows(run, _FILE, (inputs.digests, taste.digest), lambda: shares_of_taste(inputs, taste))


def truth(run: Run, figures: Figures, progress: Progress | None = None) -> pl.DataFrame | None:
    """A row per scenario, recommender with audio and encoder on the primary metric; None if the truth is unknown.

    `taste` is the share of taste that the encoder's vectors predict. `separated` is the number of pairs of encoders
    that the run tells apart under this recommender, the same in all its rows; `agreeing` of them have the order of
    their shares.
    """
    shares = kept_rows(run, _FILE, TRUTH)
    if shares is None:
        return None
    taste = shares.group_by("encoder").agg(taste=(pl.col("weight") * pl.col("share")).sum())
    primary = run.facts["config"]["primary"]
    named = pl.col("encoder").is_not_null() & ~pl.col("recommender").is_in(sorted(baselines(run)))
    rows = figures.standings.filter(named, metric=primary, control="real").join(taste, "encoder", maintain_order="left")
    counts = _agreement(figures.differences, rows.select("encoder", "recommender", "taste").unique())
    return rows.join(counts, ["scenario", "recommender"], "left", maintain_order="left").select(
        "scenario", "recommender", "encoder", "taste", "value",
        pl.col("separated", "agreeing").fill_null(0),
    ).cast(AGREEMENT)  # type: ignore[arg-type]  # fmt: skip


def sentence(table: pl.DataFrame) -> str:
    """One sentence on whether the run orders encoders as the world does."""
    counts = table.unique(["scenario", "recommender"])
    separated, agreeing = counts["separated"].sum(), counts["agreeing"].sum()
    if not separated:
        return "The run tells no two encoders apart under one recommender, so it can neither agree nor disagree."
    return (
        f"The run tells encoders apart in {separated:,} comparisons under one recommender; in {agreeing:,} of them the "
        "encoder with more of taste in its vectors is ahead."
    )


def _agreement(differences: pl.DataFrame, lines: pl.DataFrame) -> pl.DataFrame:
    """The number of separated pairs of encoders by scenario and recommender, and of those in the order of taste.

    `lines` has the columns encoder, recommender and taste, a row per line with audio.
    """
    names = [line_name(*line) for line in lines.select("encoder", "recommender").iter_rows()]
    named = lines.select("recommender", "taste", name=pl.Series(names, dtype=pl.String))
    pairs = differences.filter((pl.col("low") > 0) | (pl.col("high") < 0))
    pairs = pairs.join(named, left_on="first", right_on="name").join(named, left_on="second", right_on="name")
    order = pl.col("taste") - pl.col("taste_right")
    pairs = pairs.filter(order.is_not_null(), pl.col("recommender") == pl.col("recommender_right"))
    agrees = (order > 0) == (pl.col("difference") > 0)
    return pairs.group_by("scenario", "recommender").agg(separated=pl.len(), agreeing=agrees.sum())
