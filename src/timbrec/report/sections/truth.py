"""Taste in the synthetic world, beside the results of the run."""

from __future__ import annotations

from typing import Any, ClassVar

import polars as pl

from timbrec.report.data import ReportData
from timbrec.report.shared import numbers
from timbrec.results.truth import sentence


class Truth:
    """Taste in the synthetic world, beside the results of the run."""

    title: ClassVar[str] = "Taste in the synthetic world"
    link: ClassVar[str] = "Truth"

    def content(self, data: ReportData) -> dict[str, Any] | None:
        """A row per encoder, most taste first; None for data whose truth is unknown, and for an unfinished run."""
        table = data.table("truth")
        if table is None or data.missing:
            return None
        recommender = table["recommender"][0]
        shown = table.filter(pl.col("recommender") == recommender)
        digits = numbers.decimals(shown["value"].to_list())
        values = {(row["encoder"], row["scenario"]): row["value"] for row in shown.iter_rows(named=True)}
        encoders = shown.unique("encoder").sort("taste", "encoder", descending=[True, False])
        rows = [
            {"encoder": row["encoder"], "taste": f"{100 * row['taste']:.0f} %"}
            | {name: numbers.fixed(values.get((row["encoder"], name)), digits) for name in ("hot", "cold", "mixed")}
            for row in encoders.iter_rows(named=True)
        ]
        return {"rows": rows, "recommender": recommender, "sentence": sentence(table), "table": table}
