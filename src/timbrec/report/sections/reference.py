"""Every encoder against the reference encoder of the config, under each recommender and over all of them."""

from __future__ import annotations

from typing import Any, ClassVar

import polars as pl

from timbrec.report.data import ReportData
from timbrec.report.shared.cards import SCENARIOS
from timbrec.report.shared.forest import Difference, Forest, forest


class Reference:
    """Every encoder against the reference encoder of the config, under each recommender and over all of them."""

    title: ClassVar[str] = "Differences to the reference"
    link: ClassVar[str] = "Reference"

    def content(self, data: ReportData) -> dict[str, Any] | None:
        """The variables of the template; None without a reference."""
        if (table := data.table("reference")) is None:
            return None
        plots = [
            (scenario, _plot(rows), _reason(rows))
            for scenario in SCENARIOS
            if len(rows := table.filter(scenario=scenario))
        ]
        return {"reference": table["reference"][0], "plots": plots, "table": table}


def _plot(rows: pl.DataFrame) -> Forest:
    """The differences of a scenario, means over all recommenders first."""
    ordered = rows.sort(pl.col("recommender").is_not_null(), maintain_order=True).fill_nan(None)
    differences = [
        Difference(
            row["encoder"] if row["recommender"] else f"{row['encoder']} (leads in {row['leads']})",
            row["difference"], row["low"], row["high"],
            group=row["recommender"] or f"mean over {row['recommenders']} recommenders",
            recommender=row["recommender"] or "",
        )
        for row in ordered.iter_rows(named=True)
        if row["difference"] is not None
    ]  # fmt: skip
    return forest(differences)


def _reason(rows: pl.DataFrame) -> str:
    reasons = rows["reason"].drop_nulls().unique(maintain_order=True).to_list()
    return "; ".join(reasons)
