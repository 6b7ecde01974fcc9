"""The combination of a run to use: the leader of a scenario, and the figures to expect of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import polars as pl

from timbrec.data.split import Scenario
from timbrec.errors import DataError
from timbrec.results.figures import Figures
from timbrec.study.controls import REAL
from timbrec.study.naming import line_name


@dataclass(frozen=True)
class Choice:
    """An encoder and a recommender (its label); `why` gives the reason, `remarks` the limits, in sentences."""

    encoder: str | None
    label: str
    why: str
    remarks: tuple[str, ...] = ()


def leader(figures: Figures, scenario: Scenario) -> Choice:
    """The audio line that leads a scenario (see `Verdict`). Raises DataError if the run has no verdict on it."""
    verdict = next((verdict for verdict in figures.verdicts if verdict.scenario == scenario), None)
    if verdict is None:
        raise DataError(f"the run has no verdict on {scenario} lists", fix="Name an encoder and a recommender.")
    lines = figures.standings.filter(control=REAL, scenario=scenario).drop_nulls("encoder")
    pairs = lines.select("encoder", "recommender").unique().rows()
    encoder, label = next(pair for pair in pairs if line_name(*pair) == verdict.leader)
    remarks = []
    if verdict.best is None and len(verdict.winners) > 1:
        others = len(verdict.winners) - 1
        remarks.append(f"Combinations that are tied with it: {others}.")
    if baselines := (*verdict.unbeaten, *verdict.artist):
        remarks.append(f"No audio model is shown to beat {', '.join(baselines)}.")
    if verdict.reason is not None:
        remarks.append(f"The test cannot tell encoders apart: {verdict.reason}.")
    return Choice(encoder, label, f"it has {verdict.standing} in {scenario} lists", tuple(remarks))


def expected(figures: Figures, encoder: str | None, label: str, primary: str) -> list[dict[str, Any]]:
    """The run's figures of a line on the primary metric and on cold recall, as rows of the standings.

    Rows have scenario, metric, value, low, high and chance.
    """
    k = primary.partition("@")[2]
    metrics = pl.col("metric").is_in([primary, f"cold-recall@{k}"]) | (
        (pl.col("metric") == f"recall@{k}") & (pl.col("scenario") == "cold")
    )
    rows = figures.standings.filter(pl.col("encoder").eq_missing(encoder), metrics, recommender=label, control=REAL)
    columns = ["scenario", "metric", "value", "low", "high", "chance"]
    return rows.drop_nulls("value").select(columns).to_dicts()
