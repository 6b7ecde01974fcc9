"""The environment of all templates: escaping, filters, and where templates lie."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from timbrec.report.shared import numbers

_HERE = Path(__file__).parent


@cache
def environment() -> Environment:
    """Templates of the page and of what sections share; every value is escaped and must be defined."""
    templates = Environment(
        loader=FileSystemLoader([_HERE.parent, _HERE]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters |= {"count": numbers.count, "moment": _moment}
    templates.globals["NONE"] = numbers.NONE
    templates.policies["json.dumps_kwargs"] = {"ensure_ascii": False, "separators": (",", ":")}
    return templates


def _moment(text: str) -> str:
    """An ISO time to the minute, for people."""
    moment = datetime.fromisoformat(text)
    return f"{moment.day} {moment:%B %Y, %H:%M} {moment.tzname() or ''}".rstrip()
