"""The page: everything a report shows, written as one HTML file that loads nothing."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from timbrec import catalog
from timbrec.files import write_atomically
from timbrec.report import numbers
from timbrec.report.data import ReportData
from timbrec.report.plot import draw, not_shown, styles
from timbrec.report.standings import COLUMNS, half_tables, other_figures
from timbrec.report.verdict import cards

_HERE = Path(__file__).parent
_WIDE, _NARROW = (1080, 600), (350, 430)  # sizes of the plot in pixels: the page's width, and a phone's


def write_report(data: ReportData, path: Path) -> Path:
    """Write the report to `path` in one step; returns `path`."""
    write_atomically(path, render(data))
    return path


def render(data: ReportData) -> str:
    """The page as text. Every name is escaped, and the browser is told to run nothing but the page's own script."""
    script = (_HERE / "page.js").read_text(encoding="utf-8")
    plots = [draw(data, "wide", _WIDE, 12), draw(data, "narrow", _NARROW, 10)]
    template = _environment().get_template("page.html.j2")
    return template.render(
        data=data,
        failed=[finding.name for finding in data.findings if not finding.passed],
        cards=cards(data),
        tables=half_tables(data),
        columns=COLUMNS,
        figures=other_figures(data),
        plots=[plot for plot in plots if plot],
        styles=styles(data),
        not_shown=not_shown(data),
        encoders=_columns(data.encoders),
        glossary=_glossary(data),
        css=Markup((_HERE / "page.css").read_text(encoding="utf-8")),
        script=Markup(script),
        script_hash=b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )


@dataclass(frozen=True)
class Drawing:
    """The plot of hot against cold figures, which notebooks show."""

    svg: str

    def _repr_html_(self) -> str:
        return f"<style>{(_HERE / 'page.css').read_text(encoding='utf-8')}</style>{self.svg}"


def draw_figures(data: ReportData) -> Drawing | None:
    """The plot of the page on its own; None when no line has a figure in both scenarios."""
    plot = draw(data, "wide", _WIDE, 12)
    if plot is None:
        return None
    environment = _environment()
    part = environment.get_template("parts.html.j2").module
    return Drawing(environment.get_template("plot.svg.j2").render(plot=plot, data=data, part=part))


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"count": numbers.count, "moment": _moment}
    environment.globals["NONE"] = numbers.NONE
    environment.policies["json.dumps_kwargs"] = {"ensure_ascii": False, "separators": (",", ":")}
    return environment


def _moment(text: str) -> str:
    """An ISO time to the minute, for people."""
    moment = datetime.fromisoformat(text)
    return f"{moment.day} {moment:%B %Y, %H:%M} {moment.tzname() or ''}".rstrip()


def _columns(rows: Sequence[Mapping[str, object]]) -> tuple[list[str], list[list[Any]]]:
    """Records as a table: every key that any of them has, in order, and their values."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    return names, [[row.get(name) for name in names] for row in rows]


def _glossary(data: ReportData) -> list[tuple[str, str]]:
    """What each metric of the report is, in the words of its own documentation."""
    names = dict.fromkeys(label.split("@")[0] for label in data.metrics)
    return [(name, catalog.definition("metrics", name)) for name in names if name in catalog.CATALOG["metrics"]]
