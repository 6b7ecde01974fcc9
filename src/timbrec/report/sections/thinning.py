"""How many plays an item needs until recommendation by plays overtakes recommendation by content."""

from __future__ import annotations

from typing import Any, ClassVar

from timbrec.report.data import ReportData
from timbrec.results.thinning import sentence


class Thinning:
    """How many plays an item needs until recommendation by plays overtakes recommendation by content."""

    title: ClassVar[str] = "How many plays until plays overtake audio"
    link: ClassVar[str] = "Plays needed"

    def content(self, data: ReportData) -> dict[str, Any] | None:
        """A sentence per pair of lines, and the rows of the table; None for a run without thinning."""
        if (table := data.table("thinning")) is None:
            return None
        rows = list(table.iter_rows(named=True))
        pairs = {(row["encoder"], row["recommender"], row["against"]): row for row in rows if row["against"]}
        most = max(row["plays"] for row in rows)
        return {"sentences": [sentence(row, most) for row in pairs.values()], "rows": rows}
