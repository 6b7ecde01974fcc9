"""Gains of audio over the artist and other metadata."""

from __future__ import annotations

from typing import Any, ClassVar

from timbrec.report.data import ReportData
from timbrec.results.beyond import sentence


class Beyond:
    """Gains of audio over the artist and other metadata."""

    title: ClassVar[str] = "Audio beyond the artist"
    link: ClassVar[str] = "Beyond the artist"

    def content(self, data: ReportData) -> dict[str, Any] | None:
        """The findings in words and the rows of the table; None for a run without lines to compare."""
        if (table := data.table("beyond")) is None:
            return None
        rows = list(table.iter_rows(named=True))
        return {"sentences": [(row, sentence(row, data.primary)) for row in rows], "table": table}
