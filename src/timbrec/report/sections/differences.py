"""Paired differences to the best audio model, with simultaneous intervals."""

from __future__ import annotations

from typing import Any, ClassVar

import polars as pl

from timbrec.report.data import ReportData
from timbrec.report.shared.cards import SCENARIOS
from timbrec.report.shared.forest import Difference, forest
from timbrec.study.naming import line_name


class Differences:
    """Paired differences to the best audio model, with simultaneous intervals."""

    title: ClassVar[str] = "Differences to the best"
    link: ClassVar[str] = "Differences"

    def content(self, data: ReportData) -> dict[str, Any] | None:
        """The variables of the template; None where nothing can be compared."""
        leaders = {verdict.scenario: verdict.leader for verdict in data.verdicts}
        plots = [
            (scenario, about, leaders[scenario], forest(rows))
            for scenario, about in SCENARIOS.items()
            if scenario in leaders and (rows := _differences(data, scenario, leaders[scenario]))
        ]
        return {"plots": plots, "table": data.differences} if plots else None


def _differences(data: ReportData, scenario: str, leader: str) -> list[Difference]:
    """All lines minus the leader, the largest difference first."""
    table = data.differences.filter(
        (pl.col("scenario") == scenario) & ((pl.col("first") == leader) | (pl.col("second") == leader))
    )
    labels = {line_name(encoder, label): label for encoder, label in _lines(data)}
    rows = []
    for row in table.fill_nan(None).iter_rows(named=True):
        if row["difference"] is None:
            continue
        sign, other = (-1, row["second"]) if row["first"] == leader else (1, row["first"])
        limits = [row["low"], row["high"]] if sign > 0 else [row["high"], row["low"]]
        low, high = (None if limit is None else sign * limit for limit in limits)
        rows.append(Difference(other, sign * row["difference"], low, high, recommender=labels.get(other, "")))
    return sorted(rows, key=lambda row: row.value, reverse=True)


def _lines(data: ReportData) -> list[tuple[str, str]]:
    return data.summary.drop_nulls("encoder").select("encoder", "recommender").unique().rows()
