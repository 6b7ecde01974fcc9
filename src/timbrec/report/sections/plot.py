"""Hot figures against cold ones."""

from __future__ import annotations

from typing import Any, ClassVar

from timbrec.report.data import ReportData
from timbrec.report.shared.drawing import NARROW, WIDE, draw, not_shown, styles


class Plot:
    """Hot figures against cold ones."""

    title: ClassVar[str] = "Hot versus cold"
    link: ClassVar[str] = "Hot versus cold"

    def content(self, data: ReportData) -> dict[str, Any] | None:
        """The variables of the template."""
        plots = [draw(data, "wide", WIDE, 12), draw(data, "narrow", NARROW, 10)]
        return {"plots": [plot for plot in plots if plot], "styles": styles(data), "not_shown": not_shown(data)}
