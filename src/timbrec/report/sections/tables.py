"""Every figure, in a sortable table per scenario."""

from __future__ import annotations

from typing import Any, ClassVar

from timbrec.report.data import ReportData
from timbrec.report.shared.standings import COLUMNS, other_figures, scenario_tables


class Tables:
    """Every figure, in a sortable table per scenario."""

    title: ClassVar[str] = "All figures"
    link: ClassVar[str] = "Tables"

    def content(self, data: ReportData) -> dict[str, Any] | None:
        """The variables of the template."""
        return {"tables": scenario_tables(data), "columns": COLUMNS, "figures": other_figures(data)}
