"""The data, the split and the encoders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from timbrec.report.data import ReportData


class Data:
    """The data, the split and the encoders."""

    title: ClassVar[str] = "Data card"
    link: ClassVar[str] = "Data"

    def content(self, data: ReportData) -> dict[str, Any] | None:
        """The variables of the template."""
        return {"encoders": _columns(data.encoders)}


def _columns(rows: Sequence[Mapping[str, object]]) -> tuple[list[str], list[list[Any]]]:
    """Records as a table: every key that any of them has, in order, and their values."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    return names, [[row.get(name) for name in names] for row in rows]
