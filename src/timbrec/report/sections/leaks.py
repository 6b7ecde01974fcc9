"""Leaks of cold tracks, or of their popularity, into train."""

from __future__ import annotations

from typing import Any, ClassVar

from timbrec.report.data import ReportData
from timbrec.results.leaks import sentences


class Leaks:
    """Leaks of cold tracks, or of their popularity, into train."""

    title: ClassVar[str] = "Leaks"
    link: ClassVar[str] = "Leaks"

    def content(self, data: ReportData) -> dict[str, Any] | None:
        """Sentences by result: found, not found, not checked; None for a run without a table of leaks."""
        if (table := data.table("leaks")) is None:
            return None
        groups = {"Found": True, "Not found": False, "Not checked": None}
        rows = list(table.iter_rows(named=True))
        lines = {title: sentences(row for row in rows if row["found"] is state) for title, state in groups.items()}
        return {"groups": {title: texts for title, texts in lines.items() if texts}, "table": table}
