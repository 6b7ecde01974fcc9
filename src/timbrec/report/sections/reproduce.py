"""Commands that make the same figures again."""

from __future__ import annotations

from typing import Any, ClassVar

from timbrec.report.data import ReportData


class Reproduce:
    """Commands that make the same figures again."""

    title: ClassVar[str] = "How to reproduce"
    link: ClassVar[str] = "Reproduce"

    def content(self, data: ReportData) -> dict[str, Any] | None:
        """The variables of the template."""
        return {}
