"""The environment of all templates: escaping, filters, and folders."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl
import polars.selectors as cs
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from timbrec.report.shared import numbers

_HERE = Path(__file__).parent


@cache
def environment() -> Environment:
    """The templates of the page and of `shared`; values are escaped, and an undefined one is an error."""
    templates = Environment(
        loader=FileSystemLoader([_HERE.parent, _HERE]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters |= {"count": numbers.count, "moment": _moment, "columns": _columns}
    templates.globals["NONE"] = numbers.NONE
    templates.policies["json.dumps_kwargs"] = {"ensure_ascii": False, "separators": (",", ":")}
    return templates


def _moment(text: str) -> str:
    """An ISO time, written to the minute."""
    moment = datetime.fromisoformat(text)
    return f"{moment.day} {moment:%B %Y, %H:%M} {moment.tzname() or ''}".rstrip()


def _columns(frame: pl.DataFrame) -> list[list[Any] | dict[str, list[Any]]]:
    """The values of a frame by column, floats to 6 significant digits, NaN as None.

    A column of repeated texts is {"of": its distinct texts, "at": the place of each row's text in them}.
    """
    rounded = frame.with_columns(cs.float().fill_nan(None).round_sig_figs(6), cs.temporal().cast(pl.String))
    return [_repeated(column) if column.dtype == pl.String else column.to_list() for column in rounded]


def _repeated(column: pl.Series) -> list[Any] | dict[str, list[Any]]:
    distinct = column.drop_nulls().unique(maintain_order=True)
    if 2 * len(distinct) > len(column):
        return column.to_list()
    places = column.cast(pl.Enum(distinct)).to_physical()
    return {"of": distinct.to_list(), "at": places.to_list()}
