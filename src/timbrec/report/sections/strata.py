"""Figures by stratum: known and new artists, popularity, age, activity, genre."""

from __future__ import annotations

from typing import Any, ClassVar

import polars as pl

from timbrec.report.data import ReportData
from timbrec.report.shared.cards import name_of

_COLUMNS = ["line", "value", "95 % interval", "chance", "difference to", "difference", "its interval"]


class Strata:
    """Figures by stratum."""

    title: ClassVar[str] = "By kind of track and user"
    link: ClassVar[str] = "Strata"

    def content(self, data: ReportData) -> dict[str, Any] | None:
        """The variables of the template: a table per scenario and kind of stratum."""
        if (table := data.table("strata")) is None:
            return None
        groups = table.partition_by("scenario", "by", maintain_order=True)
        return {"groups": [_group(rows) for rows in groups], "columns": _COLUMNS, "frame": table}


def _group(rows: pl.DataFrame) -> dict[str, Any]:
    strata = [_stratum(part) for part in rows.partition_by("stratum", maintain_order=True)]
    return {"scenario": rows["scenario"][0], "by": rows["by"][0], "metric": rows["metric"][0], "strata": strata}


def _stratum(part: pl.DataFrame) -> dict[str, Any]:
    """The lines of a stratum, best first; `recommenders` are for the filter, None for lines without content."""
    rows = part.sort("value", descending=True).to_dicts()
    facts = {"name": rows[0]["stratum"]} | {name: rows[0][name] for name in ("users", "pairs", "items", "reason")}
    recommenders = [row["encoder"] and row["recommender"] for row in rows]
    return facts | {"rows": [_row(row) for row in rows], "recommenders": recommenders}


def _row(row: dict[str, Any]) -> list[str]:
    difference = "" if row["difference"] is None else f"{row['difference']:+.3f}"
    return [
        name_of(row),
        _number(row["value"]),
        _interval(row["low"], row["high"], ".3f"),
        _number(row["chance"]),
        row["reference"] or "",
        difference,
        _interval(row["difference_low"], row["difference_high"], "+.3f") if difference else "",
    ]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _interval(low: float | None, high: float | None, form: str) -> str:
    return "" if low is None or high is None else f"{low:{form}} to {high:{form}}"
