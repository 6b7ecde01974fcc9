"""Cost and licence of each encoder against its figures."""

from __future__ import annotations

from typing import Any, ClassVar

from timbrec.report.data import ReportData
from timbrec.report.shared import numbers
from timbrec.report.shared.cards import cheapest_tied
from timbrec.report.shared.drawing import shapes
from timbrec.report.shared.frontier import frontier


class Cost:
    """Cost and licence of each encoder against its figures."""

    title: ClassVar[str] = "Cost and licence"
    link: ClassVar[str] = "Cost"

    def content(self, data: ReportData) -> dict[str, Any] | None:
        """The variables of the template; None without a table of costs."""
        if (table := data.table("cost")) is None:
            return None
        low_cost = {
            verdict.scenario: (cheapest_tied(data, verdict), verdict.state)
            for verdict in data.verdicts
            if verdict.state in ("only", "best", "tied")
        }
        used = [None, *shapes(data)]
        panels = [
            (scenario, [(name, frontier(data, table, scenario, name)) for name in used])
            for scenario in ("hot", "cold")
            if frontier(data, table, scenario) is not None
        ]
        rows = [_row(data, row, used) for row in table.iter_rows(named=True)]
        return {"rows": rows, "low_cost": low_cost, "table": table, "panels": panels}


def _row(data: ReportData, row: dict[str, Any], used: list[str | None]) -> dict[str, Any]:
    """The texts of an encoder: its best figures, hot and cold, with any recommender and with each, and its cost."""
    best = {
        scenario: [(name, *_best(data, scenario, row["encoder"], name)) for name in used]
        for scenario in ("hot", "cold")
    }
    shipping = {True: "yes", False: "no", None: "not known"}[row["commercial"]]
    return {
        "encoder": row["encoder"],
        **best,
        "gflop": _short(row["gflop_per_second"]),
        "seconds": _short(row["seconds_per_track"]),
        "parameters": numbers.count(row["parameters"]),
        "dim": numbers.count(row["dim"]),
        "memory": _short(None if row["bytes_per_track"] is None else row["bytes_per_track"] / 1024),
        "fit": _short(row["fit_seconds"]),
        "ship": shipping,
        "licence": row["licence_weights"] or numbers.NONE,
    }


def _best(data: ReportData, scenario: str, encoder: str, recommender: str | None) -> tuple[str, bool, str]:
    """The highest figure of an encoder, whether it is tied with the best, and the recommender."""
    rows = [row for row in data.ranked(scenario) if data.competes(row) and row["value"] is not None]
    digits = numbers.decimals(row["value"] for row in rows)
    for row in rows:
        if row["encoder"] == encoder and recommender in (None, row["recommender"]):
            return numbers.fixed(row["value"], digits), bool(row["tied"]), row["recommender"]
    return numbers.NONE, False, ""


def _short(value: float | None) -> str:
    return numbers.NONE if value is None else f"{value:,.{min(numbers.decimals([value], 2), 3)}f}"
