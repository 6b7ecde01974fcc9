"""The log of a draft: roles of its columns, the unit and form of its times."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from typing import Any, NamedTuple

import polars as pl

from timbrec.data.log import COLUMNS
from timbrec.data.times import TimeForm, read_times
from timbrec.errors import DataError
from timbrec.study.draft.findings import Finding

_UNITS = ((1e17, "ns"), (1e14, "us"), (1e11, "ms"))  # numbers from here on, as times of this century
_LAYOUTS = ("%d/%m/%Y", "%m/%d/%Y")
LEAST_TIME = 1e8  # seconds: 1973; smaller numbers are years, counts or positions


class TimeColumn(NamedTuple):
    """A column that can be read as times, and the settings of the log for it."""

    name: str
    settings: dict[str, Any]
    remarks: tuple[str, ...] = ()


def time_columns(finding: Finding, taken: AbstractSet[str] = frozenset()) -> list[TimeColumn]:
    """The columns that can be read as times, likeliest first: by name, or else the first with values of times.

    Columns in `taken` have other roles.
    """
    named = _times(finding, [name for name in finding.columns("time") if name not in taken])
    if named:
        return named
    other = {name for role in ("user", "item", "plays", "artist") for name in finding.columns(role)}
    others = [name for name in finding.names if name not in taken and name not in other]
    return [time._replace(remarks=(f"the times are taken from {time.name!r}, by its values", *time.remarks))
            for time in _times(finding, others)[:1]]  # fmt: skip


def _times(finding: Finding, names: Iterable[str]) -> list[TimeColumn]:
    times = [_time_of(finding.sample, name) for name in names if name in finding.sample.columns]
    return [time for time in times if time is not None]


def headless_roles(sample: pl.DataFrame) -> dict[str, str]:
    """Roles of a table without a header: user, track, then times if the numbers are large enough, else plays."""
    names = sample.columns
    roles = {"user": names[0], "item": names[1]}
    for name in names[2:]:
        values = sample[name].cast(pl.Float64, strict=False)
        role = "time" if values.null_count() or (values.min() or 0) >= LEAST_TIME else "plays"  # type: ignore[operator]
        roles.setdefault(role, name)
    return roles


def plays_column(finding: Finding) -> str | None:
    """The column that counts plays: whole numbers under a usual name."""
    counts = (name for name in finding.columns("plays") if finding.sample[name].dtype.is_integer())
    return next(counts, None)


def is_default(role: str, name: str) -> bool:
    """Whether a reader without settings takes this column for this role."""
    return COLUMNS.get(role) == name


def _time_of(sample: pl.DataFrame, name: str) -> TimeColumn | None:
    values = sample[name]
    if values.null_count() == len(values):
        return None
    settings: dict[str, Any] = {}
    numbers = values.cast(pl.Float64, strict=False) if values.dtype.is_numeric() or values.dtype == pl.String else None
    if numbers is not None and numbers.null_count() == values.null_count():  # "05" is a day of a month
        largest = float(numbers.max() or 0)  # type: ignore[arg-type]
        if largest < LEAST_TIME and not 19000101 <= largest < 21000000:
            return None
        settings = {"time_unit": unit} if (unit := _unit(largest)) else {}
    for layout in (None, *_LAYOUTS):
        form = TimeForm(unit=settings.get("time_unit"), format=layout and _with_clock(values, layout))
        try:
            read_times(values, form)
        except (DataError, pl.exceptions.PolarsError):
            continue
        if layout is None:
            return TimeColumn(name, settings)
        remark = f"days and months cannot be told apart in {values[0]!r}; day/month was taken"
        return TimeColumn(name, {"time_format": form.format}, (remark,))
    return None


def _unit(largest: float) -> str | None:
    """The unit of numbers since 1970 by their size; None for seconds and for dates such as 20180301235959."""
    if 19000101_000000 <= largest < 21000000_000000:
        return None
    return next((unit for least, unit in _UNITS if largest >= least), None)


def _with_clock(values: pl.Series, layout: str) -> str:
    """The layout, extended by the time of day in the form of the first value."""
    colons = str(values.drop_nulls()[0]).count(":")
    return layout + ("", " %H:%M", " %H:%M:%S")[min(colons, 2)]
