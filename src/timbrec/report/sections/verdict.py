"""The verdict on every scenario."""

from __future__ import annotations

from typing import Any, ClassVar

from timbrec.report.data import ReportData
from timbrec.report.shared.cards import cards


class Verdict:
    """The verdict on every scenario."""

    title: ClassVar[str] = "Verdict"
    link: ClassVar[str] = "Verdict"

    def content(self, data: ReportData) -> dict[str, Any] | None:
        """The variables of the template."""
        return {"cards": cards(data)}
