"""Hot figures against cold ones."""

from __future__ import annotations

from typing import Any, ClassVar

from timbrec.report.data import ReportData
from timbrec.report.shared.drawing import NARROW, WIDE, colours, draw, not_shown, shapes


class Plot:
    """Hot figures against cold ones."""

    title: ClassVar[str] = "Hot versus cold"
    link: ClassVar[str] = "Hot versus cold"

    def content(self, data: ReportData) -> dict[str, Any] | None:
        """The variables of the template."""
        sizes = (("wide", WIDE, 12), ("narrow", NARROW, 10))
        plots = [
            (number, plot)
            for number, metric in enumerate(data.metrics)
            for name, size, font in sizes
            if (plot := draw(data, metric, name, size, font)) is not None
        ]
        return {
            "plots": plots,
            "drawn": {plot.metric for _, plot in plots},
            "colours": colours(data),
            "shapes": shapes(data),
            "not_shown": not_shown(data, data.primary),
        }
