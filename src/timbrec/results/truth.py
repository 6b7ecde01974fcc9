"""Taste in the vectors of a made world, beside the figures of its run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from timbrec.results.figures import Figures
from timbrec.results.freshness import keep_rows, kept_rows
from timbrec.results.lines import baselines
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
    """Store how much of each factor of taste the vectors contain; unchanged inputs are not looked at again.

    Without a known truth, nothing is written.
    """
    if (taste := inputs.truth) is None:
        (run.folder / _FILE).unlink(missing_ok=True)
    else:
        keep_rows(run, _FILE, (inputs.digests, taste.digest), lambda: shares_of_taste(inputs, taste))


def truth(run: Run, figures: Figures, progress: Progress | None = None) -> pl.DataFrame | None:
    """A row per scenario, recommender with audio and encoder on the primary metric; None where the truth is unknown.

    `taste` is the share of taste that is predicted from the encoder's vectors. Of the pairs of encoders that the run
    tells apart under this recommender (`separated`, the same number in all its rows), `agreeing` have the order of
    their shares.
    """
    shares = kept_rows(run, _FILE, TRUTH)
    if shares is None:
        return None
    taste = shares.group_by("encoder").agg(taste=(pl.col("weight") * pl.col("share")).sum())
    primary = run.facts["config"]["primary"]
    named = pl.col("encoder").is_not_null() & ~pl.col("recommender").is_in(sorted(baselines(run)))
    rows = figures.standings.filter(named, metric=primary, control="real").join(taste, "encoder", maintain_order="left")
    counts = _agreement(figures.differences, dict(taste.iter_rows()))
    return rows.join(counts, ["scenario", "recommender"], "left", maintain_order="left").select(
        "scenario", "recommender", "encoder", "taste", "value",
        pl.col("separated", "agreeing").fill_null(0),
    ).cast(AGREEMENT)  # type: ignore[arg-type]  # fmt: skip


def sentence(table: pl.DataFrame) -> str:
    """Whether the run's order of encoders is that of the world, in one sentence."""
    counts = table.unique(["scenario", "recommender"])
    separated, agreeing = counts["separated"].sum(), counts["agreeing"].sum()
    if not separated:
        return "The run tells no two encoders apart under one recommender, so it can neither agree nor disagree."
    return (
        f"The run tells encoders apart in {separated:,} comparisons under one recommender; in {agreeing:,} of them the "
        "encoder whose vectors hold more of taste is ahead."
    )


def _agreement(differences: pl.DataFrame, taste: dict[str, float]) -> pl.DataFrame:
    """The number of separated pairs of encoders by scenario and recommender, and of those in the order of taste."""
    split = [pl.col(side).str.split_exact(" / ", 1).struct.rename_fields([side, f"{side}_by"]).alias(f"{side}_parts")
             for side in ("first", "second")]  # fmt: skip
    pairs = differences.with_columns(split).drop("first", "second").unnest("first_parts", "second_parts")
    order = pl.col("first").replace_strict(taste, default=None) - pl.col("second").replace_strict(taste, default=None)
    pairs = pairs.filter(pl.col("first_by") == pl.col("second_by"), (pl.col("low") > 0) | (pl.col("high") < 0))
    pairs = pairs.with_columns(agrees=(order > 0) == (pl.col("difference") > 0)).filter(order.is_not_null())
    return pairs.group_by("scenario", recommender="first_by").agg(separated=pl.len(), agreeing=pl.col("agrees").sum())
