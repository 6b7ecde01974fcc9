"""A matrix of encoders and recommenders for each scenario."""

from __future__ import annotations

from typing import Any, ClassVar

from timbrec.report.data import ReportData
from timbrec.report.shared.matrix import matrices


class Matrix:
    """A matrix of encoders and recommenders for each scenario."""

    title: ClassVar[str] = "Encoders and recommenders"
    link: ClassVar[str] = "Matrix"

    def content(self, data: ReportData) -> dict[str, Any] | None:
        """The variables of the template."""
        return {"matrices": matrices(data)}
