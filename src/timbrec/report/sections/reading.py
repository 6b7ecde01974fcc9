"""How to read the page."""

from __future__ import annotations

from typing import Any, ClassVar

from timbrec import catalog
from timbrec.report.data import ReportData


class Reading:
    """How to read the page."""

    title: ClassVar[str] = "How to read this page"
    link: ClassVar[str] = "How to read"

    def content(self, data: ReportData) -> dict[str, Any] | None:
        """The variables of the template."""
        return {"glossary": _glossary(data)}


def _glossary(data: ReportData) -> list[tuple[str, str]]:
    """Each metric of the report with the first sentence of its documentation."""
    names = dict.fromkeys(label.split("@")[0] for label in data.metrics)
    return [(name, catalog.definition("metrics", name)) for name in names if name in catalog.CATALOG["metrics"]]
