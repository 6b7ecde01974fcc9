"""Reading the listening log: which column is what, and what its times mean."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from timbrec.data.events import Events, make_events
from timbrec.data.tables import read_table
from timbrec.errors import DataError

COLUMNS = {"user": "user_id", "item": "track_id", "time": "timestamp", "plays": "plays"}
_ZONED = r"\d{2}:\d{2}.*(Z|[+-]\d{2}(:?\d{2})?)$"  # ISO 8601 with an offset; a date alone has none


def read_log(
    path: Path,
    columns: dict[str, str] | None = None,
    time_zone: str = "UTC",
    time_unit: str = "s",
    time_format: str | None = None,
) -> Events:
    """Events of a table file; `columns` maps user, item, time and plays to the file's names.

    `time` and `plays` may be missing unless `columns` names them. Times are dates with a time, ISO 8601 text,
    text in `time_format` (chrono's notation), or numbers since 1970 in `time_unit` (s, ms, us). Those without a zone
    are taken in `time_zone`. Raises DataError naming the file for everything that is wrong in it.
    """
    given = columns or {}
    table = read_table(path, COLUMNS | given, tuple({"time", "plays"} - given.keys()), ids=("user", "item"))
    try:
        if "time" in table.columns:
            table = table.with_columns(parsed_times(table["time"], time_zone, time_unit, time_format))
        return make_events(table)
    except DataError as error:
        error.args = (f"{path}: {error}",)
        raise


def parsed_times(times: pl.Series, time_zone: str, time_unit: str, time_format: str | None) -> pl.Series:
    """The column as Datetime in UTC. Raises DataError where a value cannot be read, or where only some have a zone."""
    if isinstance(times.dtype, pl.Datetime) or times.dtype == pl.Date:
        return _in_utc(times.cast(pl.Datetime("us", getattr(times.dtype, "time_zone", None))), time_zone)
    if times.dtype.is_numeric():
        return _since_1970(times, {"s": 1_000_000, "ms": 1000, "us": 1}[time_unit])
    if times.dtype != pl.String:
        raise DataError(f"column 'time' holds {times.dtype}, which is no time", example=times[0],
                        fix="Store dates with a time, as such, as text or as numbers since 1970.")  # fmt: skip
    return _in_utc(_read_text(times, time_format), time_zone)


def _since_1970(times: pl.Series, factor: int) -> pl.Series:
    """Numbers times `factor` as microseconds, which float64 holds exactly up to the year 2255."""
    microseconds = (times.cast(pl.Float64) * factor).round()
    if len(wrong := times.filter(~(microseconds.abs() < 2**53))):
        raise DataError("times are no dates", count=len(wrong), example=wrong[0],
                        fix="Correct them, or set `time_unit` to theirs: s, ms or us since 1970.")  # fmt: skip
    return microseconds.cast(pl.Int64).cast(pl.Datetime("us"))


def _read_text(times: pl.Series, time_format: str | None) -> pl.Series:
    zoned = times.str.contains(_ZONED)
    if time_format is None and zoned.any() and not zoned.all():
        raise DataError("some times have a time zone and some have none", count=int((~zoned).sum()),
                        example=times.filter(~zoned)[0], fix="Write all of them the same way.")  # fmt: skip
    zone = "UTC" if time_format is None and zoned.any() else None
    try:
        parsed = times.str.to_datetime(time_format, time_unit="us", time_zone=zone, strict=False)
    except pl.exceptions.PolarsError:  # no value is of a format it can guess
        parsed = pl.repeat(None, len(times), dtype=pl.Datetime("us"), eager=True)
    if len(wrong := times.filter(parsed.is_null() & times.is_not_null())):
        raise DataError("times cannot be read", count=len(wrong), example=wrong[0], fix="Set `time_format`.")
    return parsed


def _in_utc(times: pl.Series, time_zone: str) -> pl.Series:
    """Naive times are clock times in `time_zone`; those the clock showed twice are the earlier ones."""
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
