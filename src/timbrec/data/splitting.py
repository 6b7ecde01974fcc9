"""Splits by config: a protocol with its times or shares."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal, NamedTuple

import polars as pl
from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from timbrec.data.cuts import EmptyPartError, by_items, by_time, tamm2026
from timbrec.data.events import Events
from timbrec.data.settings import Part
from timbrec.data.split import Split
from timbrec.errors import DataError
from timbrec.types import Array, Int


def _moment(value: Any) -> Any:
    """A datetime from 2018, "2018-03", 20180301 or a date; pydantic parses longer values."""
    if isinstance(value, date) and not isinstance(value, datetime):
        return datetime(value.year, value.month, value.day)
    if match := re.fullmatch(r"((?:19|20)\d\d)(?:-?(\d\d)(?:-?(\d\d))?)?", str(value).strip()):
        year, month, day = (int(part or 1) for part in match.groups())
        return datetime(year, month, day)
    if isinstance(value, int | float) or str(value).strip().isdigit():
        raise ValueError("a number that is no year; write a date such as 2018-01-31")
    return value


Moment = Annotated[datetime, BeforeValidator(_moment), WithJsonSchema({"type": ["string", "integer"]})]


Protocol = Literal["corrected", "tamm2026", "item-holdout"]


class SplitConfig(Part):
    """Protocol, times and shares of the split.

    By default, train starts a year before `test_at` (T), validation a month before it, and the test lasts a month. With
    `by_artist`, no artist has tracks both in train and among the cold tracks.
    """

    protocol: Protocol = "corrected"
    test_at: Moment | None = None
    start: Moment | None = None
    validate_at: Moment | None = None
    end: Moment | None = None
    cold: float = Field(0.1, gt=0, lt=1)
    hot: float = Field(0.2, gt=0, lt=1)
    validation: float = Field(0.1, gt=0, lt=1)
    seed: int = Field(0, ge=0)
    by_artist: bool = False

    @model_validator(mode="after")
    def _complete(self) -> SplitConfig:
        if self.protocol == "item-holdout":
            if self.cold + self.validation >= 1 or self.hot + self.validation >= 1:
                raise ValueError("the shares leave nothing to train on")
        elif self.test_at is None:
            raise ValueError("`test_at` is needed: the moment T from which plays are test (or use item-holdout)")
        return self


class Window(NamedTuple):
    """The times of a split, in UTC: train is [start, test_at), the test [test_at, end)."""

    start: datetime
    validate_at: datetime
    test_at: datetime
    end: datetime


def window_of(config: SplitConfig) -> Window | None:
    """The times of a split, with defaults filled in; None for a protocol without times."""
    if config.test_at is None or config.protocol == "item-holdout":
        return None
    test_at = _utc(config.test_at)
    start = _moved(test_at, "-1y") if config.start is None else _utc(config.start)
    validate_at = _moved(test_at, "-1mo") if config.validate_at is None else _utc(config.validate_at)
    return Window(start, validate_at, test_at, _moved(test_at, "1mo") if config.end is None else _utc(config.end))


def make_split(events: Events, config: SplitConfig, artists: Int[Array, "items"] | None = None) -> Split:
    """Split the log by the protocol of the config.

    `artists` (a number per item, -1 if unknown) is needed for `by_artist`, and not used otherwise. Raises DataError if
    a train part or both test scenarios are empty, or if no cold track is left `by_artist`. The message states the span
    of the log, the window, and a `test_at` that works.
    """
    try:
        return _cut(events, config, artists)
    except EmptyPartError as error:
        raise _explained(error, events, config, artists) from None


def _cut(events: Events, config: SplitConfig, artists: Int[Array, "items"] | None) -> Split:
    window, artists = window_of(config), _needed(artists, config)
    if window is None:
        split = by_items(events, config.seed, config.cold, config.hot, config.validation, artists)
    elif config.protocol == "tamm2026":
        split = tamm2026(events, window.start, window.test_at, window.end, artists)
    else:
        split = by_time(events, *window, artists)
    if config.by_artist and not len(split.test.cold):
        raise EmptyPartError("no cold track is left: all new tracks are by artists in train (`by_artist`)")
    if not len(split.test.hot) and not len(split.test.cold):
        raise EmptyPartError("both test scenarios are empty: nobody in train played anything new")
    return split


def _needed(artists: Int[Array, "items"] | None, config: SplitConfig) -> Int[Array, "items"] | None:
    """The artists if the split needs them. Raises DataError if they are needed and unknown."""
    if not config.by_artist:
        return None
    if artists is None or not (artists >= 0).any():
        raise DataError("`split.by_artist` needs the artist of each track", fix="Name an items table under `items`.")
    return artists


def _explained(
    error: EmptyPartError, events: Events, config: SplitConfig, artists: Int[Array, "items"] | None
) -> DataError:
    """The error with the span of the log, the window and advice."""
    window = window_of(config)
    if window is None or not len(events):
        return DataError(error.what, fix="Check the ids and the shares of the split.")
    first, last = (str(moment)[:10] for moment in (events.table["time"].min(), events.table["time"].max()))
    start, validate_at, test_at, end = (f"{moment:%Y-%m-%d}" for moment in window)
    times = f"train is from {start} to {test_at} (validation from {validate_at}), the test to {end}"
    if works := working_moment(events, config.protocol, artists if config.by_artist else None):
        advice = f"`test_at: {works:%Y-%m-%d}` works."
    elif config.by_artist and (works := working_moment(events, config.protocol)):
        advice = f"No `test_at` works with `by_artist`; without it, `test_at: {works:%Y-%m-%d}` does."
    else:
        advice = "No `test_at` works: the log has too few plays."
    if last <= "1970-01-02":
        advice = "Numbers such as 43101.5 are days of a spreadsheet: write dates as text, such as 2018-01-01 12:00."
    elif last < "1980":
        advice = "If the log is younger, set `time_unit` (s, ms, us or ns since 1970) or `time_format`."
    return DataError(f"{error.what}; plays of catalogue tracks are from {first} to {last}; {times}", fix=advice)


def working_moment(
    events: Events, protocol: Protocol = "corrected", artists: Int[Array, "items"] | None = None
) -> datetime | None:
    """A day T that leaves hot and cold test pairs with the default times around it; None if none was found.

    With `artists`, the split is `by_artist`.
    """
    usable = None
    for share in (0.85, 0.7, 0.95):
        moment = events.table["time"].quantile(share, "nearest")
        if not isinstance(moment, datetime):
            return None
        day = datetime(moment.year, moment.month, moment.day)
        try:
            config = SplitConfig(protocol=protocol, test_at=day, by_artist=artists is not None)
            split = _cut(events, config, artists)
        except DataError:
            continue
        if len(split.test.hot) and len(split.test.cold):
            return day
        usable = usable or day
    return usable


def best_moment(events: Events) -> datetime | None:
    """The day T, in the later half of the log, with most new tracks in the month after it; None where none works.

    Candidates are the first days of months, and days at equal shares of the log. Ties go to the earlier day.
    """
    times = events.table["time"]
    shares: list[Any] = [times.quantile(share / 20, "nearest") for share in range(10, 20)]  # typed as floats
    marks = [datetime(mark.year, mark.month, mark.day) for mark in shares if isinstance(mark, datetime)]
    if not marks:
        return None
    months = pl.datetime_range(marks[0], marks[-1], "1mo", eager=True).dt.month_start()
    days = {*marks, *months}
    first = events.table.group_by("item").agg(pl.col("time").min())["time"]
    new = {day: int(first.is_between(day, _moved(day, "1mo"), "left").sum()) for day in sorted(days)}
    for day in sorted(new, key=lambda day: -new[day])[:3]:
        if _has_both(events, SplitConfig.model_validate({"test_at": day})):
            return day
    return working_moment(events)


def _has_both(events: Events, config: SplitConfig) -> bool:
    """Whether a split has hot and cold test pairs."""
    try:
        split = _cut(events, config, None)
    except DataError:
        return False
    return bool(len(split.test.hot) and len(split.test.cold))


def _utc(moment: datetime) -> datetime:
    """The moment in UTC, without a zone as in the log; moments without a zone are UTC."""
    return moment if moment.tzinfo is None else moment.astimezone(UTC).replace(tzinfo=None)


def _moved(moment: datetime, by: str) -> datetime:
    """The moment moved by calendar months or years, e.g. "-1mo"."""
    moved: datetime = pl.select(pl.lit(moment).dt.offset_by(by)).item()
    return moved
