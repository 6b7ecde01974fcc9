"""Leaks: ways in which train may know cold tracks or their popularity."""

from __future__ import annotations

from typing import Any, ClassVar

from timbrec.report.data import ReportData
from timbrec.results.leaks import sentence


class Leaks:
    """Leaks: ways in which train may know cold tracks or their popularity."""

    title: ClassVar[str] = "Leaks"
    link: ClassVar[str] = "Leaks"

    def content(self, data: ReportData) -> dict[str, Any] | None:
        """The sentences on what was found, on what was not found, and on what could not be checked."""
        if (table := data.table("leaks")) is None:
            return None
        groups = {"Found": True, "Not found": False, "Not checked": None}
        rows = list(table.iter_rows(named=True))
        sentences = {title: [sentence(row) for row in rows if row["found"] is state] for title, state in groups.items()}
        return {"groups": {title: lines for title, lines in sentences.items() if lines}, "table": table}
