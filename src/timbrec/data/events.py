"""The listening log: one row per play, or per (user, track, plays) in logs without time."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property

import numpy as np
import polars as pl

from timbrec.data.coding import Codes, vocabulary
from timbrec.data.vocabulary import Vocabulary
from timbrec.errors import DataError

_EARLIEST = datetime(1900, 1, 1)


@dataclass(frozen=True)
class Events:
    """A typed, columnar log over two vocabularies.

    `table` has the columns `user` and `item` (UInt32 rows of the vocabularies), `plays` (Int64, at least 1; 1 in a log
    without counts) and, in timed logs, `time` (Datetime in microseconds, UTC). Rows that are equal in every column are
    separate plays; `timbrec validate` reports their number. `facts` are (label, value) pairs: numbers of dropped rows,
    and how the file was interpreted. `unread` are the columns of the file without a role.
    """

    table: pl.DataFrame
    users: Vocabulary
    items: Vocabulary
    facts: tuple[tuple[str, str], ...] = ()
    unread: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.table)

    @property
    def timed(self) -> bool:
        """Whether plays have a time; a split by time needs it."""
        return "time" in self.table.columns

    @cached_property
    def digest(self) -> str:
        """A hash of all plays, independent of the order of rows."""
        weights = np.array([0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x27D4EB2F165667C5], np.uint64)
        mixed = np.zeros(len(self), np.uint64)
        for column, weight in zip(self.table, weights, strict=False):
            mixed += column.cast(pl.Int64).to_numpy().astype(np.uint64) * weight
            mixed ^= mixed >> np.uint64(29)
        facts = [self.users.digest, self.items.digest, len(self), int(mixed.sum())]
        return hashlib.sha256(repr(facts).encode()).hexdigest()[:16]

    @cached_property
    def repeated(self) -> int:
        """The number of rows that equal an earlier row in every column."""
        return len(self) - self.table.n_unique()

    def restricted_to(self, items: Vocabulary) -> Events:
        """The plays of these items, with `items` as the new vocabulary; the user vocabulary is unchanged.

        A run's catalogue consists of the tracks for which every encoder has a vector. The log is restricted to it
        before the split, in the same way for all recommenders.
        """
        if items == self.items:
            return self
        rows = items.rows(self.items.ids)
        item = self.table["item"].to_numpy()
        moved = self.table.with_columns(item=rows.astype(np.uint32)[item])
        return replace(self, table=moved.filter(pl.Series((rows >= 0)[item])).rechunk(), items=items)


def make_events(table: pl.DataFrame, ids: Mapping[str, pl.Series] | None = None) -> Events:
    """Events from a table with the columns `user` and `item` and, optionally, `time` and `plays`.

    With `ids`, the columns `user` and `item` hold codes (see `coding.Codes`), and `ids` has the ids of the codes.
    `time` must be a Datetime. Naive times are UTC; others are converted. Raises DataError for nulls, plays below 1,
    times before 1900 or more than a day in the future (slack for clocks and time zones), and an empty table.
    """
    if table.is_empty():
        raise DataError("the log has no rows", fix="Give at least one play.")
    for column in table.columns:
        if nulls := table[column].null_count():
            row = int(table[column].is_null().arg_max() or 0)
            raise DataError(
                f"column {column!r} of the log has empty values",
                count=nulls,
                example=f"row {row + 1}",
                fix="Drop these rows or fill them in.",
            )
    users, user = _coded(table["user"], ids)
    items, item = _coded(table["item"], ids)
    columns = [user, item, _plays(table)]
    if "time" in table.columns:
        columns.append(_time(table["time"]).rechunk())
    return Events(pl.DataFrame(columns), users, items)


def _coded(column: pl.Series, ids: Mapping[str, pl.Series] | None) -> tuple[Vocabulary, pl.Series]:
    """The vocabulary of a column, and its rows."""
    if ids is not None:
        return vocabulary(column, ids[column.name])
    codes = Codes()
    return vocabulary(codes.of(column), codes.ids)


def _plays(table: pl.DataFrame) -> pl.Series:
    if "plays" not in table.columns:
        return pl.repeat(1, len(table), dtype=pl.Int64, eager=True).alias("plays")
    plays = table["plays"]
    counts = _whole(plays)
    if (wrong := (counts < 1) | counts.is_null()).any():
        row = int(wrong.arg_max() or 0)
        raise DataError(
            "plays must be whole numbers of at least 1",
            count=int(wrong.sum()),
            example=plays[row],
            fix=f"The first is in row {row + 1:,}. Correct it, or drop rows without plays.",
        )
    return counts.alias("plays")


def _whole(plays: pl.Series) -> pl.Series:
    """Whole numbers as Int64, also from text and floats such as 3.0; null for other values."""
    if plays.dtype.is_integer():
        return plays.cast(pl.Int64, strict=False)
    numbers = plays.cast(pl.Float64, strict=False)
    return numbers.set((numbers != numbers.floor()) | (numbers.abs() >= 2**53), None).cast(pl.Int64, strict=False)


def _time(time: pl.Series) -> pl.Series:
    if not isinstance(time.dtype, pl.Datetime):
        raise DataError(f"column 'time' holds {time.dtype}, not dates with a time", example=time[0])
    if time.dtype.time_zone is not None:
        time = time.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    time = time.cast(pl.Datetime("us"))
    latest = datetime.now(UTC).replace(tzinfo=None) + timedelta(days=1)
    for what, wrong in (("in the future", time > latest), ("before 1900", time < _EARLIEST)):
        if wrong.any():
            raise DataError(
                f"plays lie {what}",
                count=int(wrong.sum()),
                example=str(time.filter(wrong).clip(datetime.min, datetime(9999, 1, 1))[0]),
                fix="Correct the dates, or set `time_unit` if they are numbers in another unit.",
            )
    return time
