"""The findings of the audit."""

from __future__ import annotations

from typing import Any, ClassVar

from timbrec.report.data import ReportData


class Audit:
    """The findings of the audit."""

    title: ClassVar[str] = "Audit"
    link: ClassVar[str] = "Audit"

    def content(self, data: ReportData) -> dict[str, Any] | None:
        """The variables of the template."""
        return {}
