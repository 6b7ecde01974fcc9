"""How many plays an item needs until recommendation by plays overtakes recommendation by content."""

from __future__ import annotations

from typing import Any, ClassVar

from timbrec.report.data import ReportData
from timbrec.report.shared.curves import curve
from timbrec.report.shared.drawing import colours
from timbrec.results.thinning import sentence


class Thinning:
    """How many plays an item needs until recommendation by plays overtakes recommendation by content."""

    title: ClassVar[str] = "How many plays until plays overtake audio"
    link: ClassVar[str] = "Plays needed"

    def content(self, data: ReportData) -> dict[str, Any] | None:
        """A sentence and a curve per pair of lines; None for a run without thinning."""
        if (table := data.table("thinning")) is None:
            return None
        pairs = table.drop_nulls("against").partition_by("encoder", "recommender", "against", maintain_order=True)
        most = max(table["plays"])
        compared = table.drop_nulls("low")
        limits = [0.0, *compared["low"], *compared["high"]]
        span = (min(limits), max(limits)) if any(limits) else (-1.0, 1.0)
        lines = []
        for pair in pairs:
            rows = pair.to_dicts()
            hue = colours(data).get(rows[0]["encoder"], 0)
            panel = curve(rows, span, data.primary, most, hue)
            lines.append({"recommender": rows[0]["recommender"], "text": sentence(rows[0], most), "panel": panel})
        return {"lines": lines, "table": table}
