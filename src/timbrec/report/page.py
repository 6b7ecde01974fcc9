"""The page: the sections of the catalogue in one HTML file without external files."""

from __future__ import annotations

import hashlib
import inspect
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment
from markupsafe import Markup

from timbrec import catalog
from timbrec.files import write_atomically
from timbrec.report.data import ReportData
from timbrec.report.shared.drawing import WIDE, draw, shapes
from timbrec.report.shared.environment import environment

_HERE = Path(__file__).parent


def write_report(data: ReportData, path: Path) -> Path:
    """Write the report to `path` in one step; returns `path`."""
    write_atomically(path, render(data))
    return path


def render(data: ReportData) -> str:
    """The page as text. Names are escaped, and a policy forbids every script except the one of the page."""
    script = (_HERE / "page.js").read_text(encoding="utf-8")
    return (
        environment()
        .get_template("page.html.j2")
        .render(
            data=data,
            **_state(data),
            sections=list(_sections(data)),
            scenarios=data.summary["scenario"].unique(maintain_order=True).to_list(),
            recommenders=list(shapes(data)),
            css=Markup((_HERE / "page.css").read_text(encoding="utf-8")),
            script=Markup(script),
            script_hash=b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        )
    )


@dataclass(frozen=True)
class Section:
    """A rendered section: its anchor, its heading, its name in the navigation, and its HTML."""

    name: str
    title: str
    link: str
    content: Markup


def _sections(data: ReportData) -> Iterator[Section]:
    """The rendered sections of the catalogue; sections without content are left out."""
    for name in catalog.names("sections"):
        kind = catalog.load("sections", name)
        variables = kind().content(data)
        if variables is not None:
            template = environment().from_string(_template(kind))
            html = template.render(data=data, **_state(data), **variables)
            yield Section(name, kind.title, kind.link, Markup(html))


def _template(kind: type) -> str:
    """The template beside the file of a section's class."""
    return Path(inspect.getfile(kind)).with_suffix(".html.j2").read_text(encoding="utf-8")


def _state(data: ReportData) -> dict[str, Any]:
    """The state of the audit, for every template."""
    failed = [finding.name for finding in data.findings if not finding.passed]
    return {"failed": failed, "checks": len(data.findings)}


@dataclass(frozen=True)
class Drawing:
    """The plot of hot against cold figures, for notebooks."""

    svg: str

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {len(self.svg):,} characters of SVG>"

    def _repr_html_(self) -> str:
        return f"<style>{(_HERE / 'page.css').read_text(encoding='utf-8')}</style>{self.svg}"


def draw_figures(data: ReportData) -> Drawing | None:
    """The plot of the primary metric; None where no audio model has figures in both scenarios."""
    plot = draw(data, data.primary, "wide", WIDE, 12)
    if plot is None:
        return None
    templates: Environment = environment()
    part = templates.get_template("parts.html.j2").module
    return Drawing(templates.get_template("plot.svg.j2").render(plot=plot, number=0, part=part))
