"""Cost and licence of each encoder against its figures."""

from __future__ import annotations

from typing import Any, ClassVar

from timbrec.report.data import ReportData
from timbrec.report.shared import numbers
from timbrec.report.shared.cards import cheapest_tied
from timbrec.results.verdict import Verdict


class Cost:
    """Cost and licence of each encoder against its figures."""

    title: ClassVar[str] = "Cost and licence"
    link: ClassVar[str] = "Cost"

    def content(self, data: ReportData) -> dict[str, Any] | None:
        """The variables of the template; None without a table of costs."""
        if (table := data.table("cost")) is None:
            return None
        low_cost = {verdict.scenario: cheapest_tied(data, verdict) for verdict in data.verdicts if _decided(verdict)}
        return {"rows": [_row(data, row) for row in table.iter_rows(named=True)], "low_cost": low_cost, "table": table}


def _decided(verdict: Verdict) -> bool:
    return verdict.state in ("only", "best", "tied")


def _row(data: ReportData, row: dict[str, Any]) -> dict[str, Any]:
    """The texts of an encoder: its best figures, hot and cold, and its cost."""
    best = {scenario: _best(data, scenario, row["encoder"]) for scenario in ("hot", "cold")}
    shipping = {True: "yes", False: "no", None: "not known"}[row["commercial"]]
    return {
        "encoder": row["encoder"],
        **best,
        "gflop": _short(row["gflop_per_second"]),
        "parameters": numbers.count(row["parameters"]),
        "dim": numbers.count(row["dim"]),
        "memory": _short(None if row["bytes_per_track"] is None else row["bytes_per_track"] / 1024),
        "fit": _short(row["fit_seconds"]),
        "ship": shipping,
        "licence": row["licence_weights"] or numbers.NONE,
    }


def _best(data: ReportData, scenario: str, encoder: str) -> tuple[str, bool, str]:
    """The highest figure of an encoder, whether it is tied with the best, and the recommender."""
    rows = [row for row in data.ranked(scenario) if data.competes(row) and row["value"] is not None]
    digits = numbers.decimals(row["value"] for row in rows)
    for row in rows:
        if row["encoder"] == encoder:
            return numbers.fixed(row["value"], digits), bool(row["tied"]), row["recommender"]
    return numbers.NONE, False, ""


def _short(value: float | None) -> str:
    return numbers.NONE if value is None else f"{value:,.{min(numbers.decimals([value], 2), 3)}f}"
