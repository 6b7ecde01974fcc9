"""Parser of times: dates, numbers since 1970, and text become moments in UTC."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

import polars as pl

from timbrec.errors import DataError

Unit = Literal["s", "ms", "us", "ns"]

_PER_SECOND: dict[Unit, int] = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
_NUMBER = r"^\s*[+-]?\d+(\.\d*)?([eE][+-]?\d+)?\s*$"
_ZONED = r"\d{2}:\d{2}.*(Z|[+-]\d{2}(:?\d{2})?)$"  # ISO 8601 with an offset; a date alone has none
_ROUNDED = r"^\s*\d(\.\d{0,7})?[eE]\+?\d+\s*$"  # too few digits for the second of a moment in our time
_BASIC = r"^(\d{4})(\d{2})(\d{2})T(\d{2})(\d{2})(\d{2})"  # ISO 8601 without separators
_COMMA = r"(:\d{2}),(\d+)"  # ISO 8601 permits a comma before the fraction
_YEAR_FIRST = r"^\d{4}[-/]\d{1,2}[-/]\d{1,2}"
_YEAR_LAST = r"^(\d{1,2})[/.-](\d{1,2})[/.-](\d{4})(?:,?[ T]+(\d{1,2}):(\d{2})(?::(\d{2}))? ?([AaPp][Mm])?)?$"
_DAY_NUMBER, _SECOND_NUMBER = "%Y%m%d", "%Y%m%d%H%M%S"
_TIMELESS = re.compile(r"%[HIkslTRcXrDMSp+]")


@dataclass(frozen=True)
class TimeForm:
    """Format of times: `zone` of times without one, `unit` of numbers, `format` of text in chrono's notation."""

    zone: str = "UTC"
    unit: Unit | None = None
    format: str | None = None


def read_times(times: pl.Series, form: TimeForm | None = None) -> tuple[pl.Series, str]:
    """The column as Datetime("us") in UTC, and a note on its interpretation, empty if there was only one.

    Dates and datetimes are taken as they are; `format` applies to all other types. Without it, numbers (also as text)
    are counted from 1970 in `unit`, by default seconds, unless all are calendar dates of 8 or 14 digits. Text is ISO
    8601, or has the year last and a day beyond 12 that separates days from months. Nulls stay null. Raises DataError
    for unreadable values, and for text if only some values have a zone.
    """
    form = form or TimeForm()
    if isinstance(times.dtype, pl.Datetime) or times.dtype == pl.Date:
        return _in_utc(times.cast(pl.Datetime("us", getattr(times.dtype, "time_zone", None))), form.zone), ""
    if times.dtype.is_numeric() and form.format is None:
        return _of_numbers(times, form)
    if times.dtype.is_numeric():
        times = _digits(times)
    if times.dtype != pl.String and len(times):
        raise DataError(f"column 'time' holds {times.dtype}, which is no time", example=times[0],
                        fix="Store dates with a time, as such, as text or as numbers since 1970.")  # fmt: skip
    if times.is_null().all():
        return pl.repeat(None, len(times), dtype=pl.Datetime("us"), eager=True), ""
    if form.format is not None:
        return _in_utc(_formatted(times, form.format), form.zone), ""
    if len(times) and times.str.contains(_NUMBER).all():
        if len(rounded := times.filter(times.str.contains(_ROUNDED))):
            raise DataError("times lost digits when they were written", count=len(rounded), example=rounded[0],
                            fix="Write them in full: spreadsheets shorten large numbers.")  # fmt: skip
        text = times.str.strip_chars()
        whole = text.cast(pl.Int64, strict=False)
        return _of_numbers(whole if whole.null_count() == text.null_count() else text.cast(pl.Float64), form)
    parsed, note = _of_text(times)
    return _in_utc(parsed, form.zone), note


def early_times(times: pl.Series, form: TimeForm) -> pl.Series:
    """A block of a long column with text parsed, where that depends on nothing in other blocks; else the block itself.

    `read_times` of the blocks in one column gives the same as of the text, provided that all have the same type.
    """
    try:
        if form.format is not None and (times.dtype == pl.String or times.dtype.is_numeric()):
            return _formatted(times if times.dtype == pl.String else _digits(times), form.format)
        if times.dtype == pl.String and not times.is_null().all():
            parsed, note = _of_text(times)
            return times if note else parsed
    except DataError:  # stated for the whole column, with the right numbers, by `read_times`
        pass
    return times


def parsed_times(times: pl.Series, form: TimeForm | None = None) -> pl.Series:
    """The column as Datetime("us") in UTC; see `read_times`."""
    return read_times(times, form)[0]


def _of_numbers(times: pl.Series, form: TimeForm) -> tuple[pl.Series, str]:
    if form.unit is None and (layout := _calendar_layout(times)):
        shown = "YYYYMMDD" if layout == _DAY_NUMBER else "YYYYMMDDHHMMSS"
        parsed = _in_utc(_formatted(_digits(times), layout), form.zone)
        return parsed, f"numbers such as {times.drop_nulls()[0]} read as {shown}"
    return _since_1970(times, form.unit or "s"), ""


def _calendar_layout(times: pl.Series) -> str | None:
    """The layout of whole numbers that are all calendar dates of 1900 to 2099, None for others."""
    if not len(times) or not times.dtype.is_integer():
        return None
    for layout, scale in ((_DAY_NUMBER, 1), (_SECOND_NUMBER, 1_000_000)):
        if times.min() >= 19000101 * scale and times.max() < 21000000 * scale:  # type: ignore[operator]
            dates = _digits(times).str.to_datetime(layout, time_unit="us", strict=False)
            return layout if dates.null_count() == times.null_count() else None
    return None


def _digits(times: pl.Series) -> pl.Series:
    """Whole numbers as text without ".0"."""
    if not times.dtype.is_integer():
        whole = times.cast(pl.Int64, strict=False)
        if len(wrong := times.filter((whole.cast(pl.Float64) != times.cast(pl.Float64)).fill_null(False))):
            raise DataError("times are no whole numbers, which `time_format` needs", count=len(wrong), example=wrong[0])
        times = whole
    return times.cast(pl.String)


def _since_1970(times: pl.Series, unit: Unit) -> pl.Series:
    """Numbers in `unit` as microseconds: integers exactly, others with the precision of float64, to the year 2255."""
    per_second = _PER_SECOND[unit]
    numbers = times.cast(pl.Float64)
    inside = ((numbers / per_second).abs() < 2**53 / 1_000_000).fill_null(True)
    if len(wrong := times.filter(~inside)):
        raise DataError("times are no dates", count=len(wrong), example=wrong[0],
                        fix="Correct them, or set `time_unit` to theirs: s, ms, us or ns since 1970.")  # fmt: skip
    if times.dtype.is_integer():
        whole = times.cast(pl.Int64)
        microseconds = whole * (1_000_000 // per_second) if unit != "ns" else whole // 1_000
    else:
        microseconds = (numbers * 1_000_000 / per_second).round().cast(pl.Int64)
    return microseconds.cast(pl.Datetime("us"))


def _formatted(times: pl.Series, layout: str) -> pl.Series:
    """Parse text in a given layout. `%Z` accepts only UTC and GMT, since other names of zones are not unique."""
    zone = None
    if layout.rstrip().endswith("%Z"):
        names = times.str.extract(r"(\S+)\s*$").drop_nulls().unique()
        if len(other := names.filter(~names.is_in(["UTC", "GMT", "Z"]))):
            raise DataError("names of time zones in the times are not unique", example=other[0],
                            fix="Write offsets such as +01:00 and `%z`, or set `time_zone` and drop them.")  # fmt: skip
        times, layout, zone = times.str.replace(r"\s*\S+\s*$", ""), layout.rstrip()[:-2].rstrip(), "UTC"
    elif "%Z" in layout:
        raise DataError("`time_format` has %Z, which would be skipped", example=layout,
                        fix="Write offsets and `%z`, or set `time_zone`.")  # fmt: skip
    layout = layout.replace(".%f", "%.f")  # Python's way to write a fraction
    try:
        if _TIMELESS.search(layout):
            parsed = times.str.to_datetime(layout, time_unit="us", time_zone=zone, strict=False)
        else:
            parsed = times.str.to_date(layout, strict=False).cast(pl.Datetime("us"))
    except pl.exceptions.PolarsError as error:
        raise DataError(
            f"`time_format` {layout!r} is no format of dates: {str(error).partition(chr(10))[0]}"
        ) from error
    _refuse_unread(times, parsed, "Set `time_format` to the format of all values.")
    return parsed


def _of_text(times: pl.Series) -> tuple[pl.Series, str]:
    """Parse text without a given layout: ISO 8601, or dates with the year last."""
    if (numbers := times.str.contains(_NUMBER)).any():
        words = ~numbers.fill_null(True)
        row = int(words.arg_max() or 0)
        raise DataError("some times are numbers and some are text", count=int(words.sum()), example=times[row],
                        fix=f"The first is in row {row + 1:,}. Write all of them the same way.")  # fmt: skip
    times = times.str.strip_chars().str.replace(r" (UTC|GMT)$", "Z")
    times = times.str.replace(_BASIC, "${1}-${2}-${3}T${4}:${5}:${6}").str.replace(_COMMA, "${1}.${2}")
    if times.str.contains(_YEAR_LAST).all():
        return _year_last(times)
    zoned = times.str.contains(_ZONED)
    if zoned.any() and not zoned.all():
        raise DataError("some times have a time zone and some have none", count=int((~zoned).sum()),
                        example=times.filter(~zoned)[0], fix="Write all of them the same way.")  # fmt: skip
    zone = "UTC" if zoned.any() else None
    parsed = _iso(times, zone)
    _refuse_unread(times, parsed, "Set `time_format`.")
    return parsed, ""


def _iso(times: pl.Series, zone: str | None) -> pl.Series:
    """Parse ISO 8601 text; a second pass reads values of another precision than the first value."""
    regular = times.set(~times.str.contains(_YEAR_FIRST), None)
    parsed = _inferred(regular, zone)
    if parsed.null_count() == times.null_count():
        return parsed
    left = parsed.is_null() & regular.is_not_null()
    text = times.filter(left).str.replace("T", " ").str.replace_all("/", "-")
    text = text.str.replace(r"^([\d-]+)$", "${1} 00:00").str.replace(
        r"^([\d-]+ \d{1,2}:\d{2})(Z|[+-]|$)", "${1}:00${2}"
    )
    text = text.str.replace(r"Z$", "+00:00").str.replace(r"([+-]\d{2})$", "${1}:00").str.replace(" +([+-])", "${1}")
    layout = "%Y-%m-%d %H:%M:%S%.f" + ("%z" if zone else "")
    again = text.str.to_datetime(layout, time_unit="us", time_zone=zone, strict=False)
    return parsed.scatter(left.arg_true(), again)


def _inferred(times: pl.Series, zone: str | None) -> pl.Series:
    try:
        return times.str.to_datetime(time_unit="us", time_zone=zone, strict=False)
    except pl.exceptions.PolarsError:  # no value is of a format it can guess
        return pl.repeat(None, len(times), dtype=pl.Datetime("us", zone), eager=True)


def _year_last(times: pl.Series) -> tuple[pl.Series, str]:
    """Parse dates such as 31/12/2018 23:59; the number that exceeds 12 in some row is the day."""
    parts = times.str.extract_groups(_YEAR_LAST).struct.unnest()
    parts.columns = ["first", "second", "year", "hour", "minute", "second_", "half"]
    first, second = (parts[name].cast(pl.Int8) for name in ("first", "second"))
    if first.max() <= 12 and second.max() <= 12:  # type: ignore[operator]
        raise DataError(f"{times[0]!r} may be two dates: no day in the log is beyond the 12th",
                        fix="Set `time_format`, e.g. '%d/%m/%Y %H:%M:%S' or '%m/%d/%Y %H:%M:%S'.")  # fmt: skip
    day, month = (first, second) if first.max() > 12 else (second, first)  # type: ignore[operator]
    hour = parts["hour"].cast(pl.Int8).fill_null(0)
    half = parts["half"].str.to_lowercase()
    shift = pl.when(half == "pm").then(12).otherwise(0)
    table = parts.select(
        pl.col("year").cast(pl.Int32), month=month, day=day, minute=pl.col("minute").cast(pl.Int8).fill_null(0),
        second=pl.col("second_").cast(pl.Int8).fill_null(0),
        hour=pl.when(half.is_not_null()).then(hour % 12).otherwise(hour) + shift,
    )  # fmt: skip
    valid = month.is_between(1, 12) & day.is_between(1, 31) & (table["hour"] < 24) & (table["minute"] < 60)
    text = table.select(
        pl.when(valid).then(pl.format("{}-{}-{} {}:{}:{}", "year", "month", "day", "hour", "minute", "second"))
    ).to_series()
    parsed = text.str.to_datetime("%Y-%m-%d %H:%M:%S", time_unit="us", strict=False)
    _refuse_unread(times, parsed, "Set `time_format`.")
    return parsed, f"dates such as {times[0]} read as {'day/month' if day is first else 'month/day'}/year"


def _refuse_unread(times: pl.Series, parsed: pl.Series, fix: str) -> None:
    if (unread := parsed.is_null() & times.is_not_null()).any():
        row = int(unread.arg_max() or 0)
        raise DataError("times cannot be read", count=int(unread.sum()), example=times[row],
                        fix=f"The first is in row {row + 1:,}. {fix}")  # fmt: skip


def _in_utc(times: pl.Series, time_zone: str) -> pl.Series:
    """Convert to UTC. Naive times are clock times in `time_zone`; the clock's repeated hour counts as its first."""
    if times.dtype.time_zone is not None:  # type: ignore[attr-defined]  # a Datetime here
        return times.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    try:
        zoned = times.dt.replace_time_zone(time_zone, ambiguous="earliest", non_existent="null")
    except pl.exceptions.PolarsError as error:
        raise DataError(f"{time_zone!r} is no time zone", fix="Use a name such as Europe/Vienna.") from error
    if len(skipped := times.filter(zoned.is_null() & times.is_not_null())):
        raise DataError(f"clocks in {time_zone} never showed some of the times", count=len(skipped),
                        example=str(skipped[0]), fix="Set `time_zone` to that of the log, perhaps UTC.")  # fmt: skip
    return zoned.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
