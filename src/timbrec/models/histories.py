"""Histories of listeners, matched to the tracks of a model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from timbrec.data.compression import plain_name
from timbrec.data.tables import KINDS, open_table
from timbrec.errors import ConfigError, DataError
from timbrec.histories import Matched, load_history, match

_LEAVE_OUT = "Leave the time zone out."
IDS = ("track", "track_id", "item", "item_id")


def matched_history(paths: Sequence[Path], catalogue: pl.DataFrame, time_zone: str | None = None) -> Matched:
    """The plays of exports, or of tables of track ids, matched to a catalogue.

    A table with a column `track`, `track_id`, `item` or `item_id` whose ids are in the catalogue needs no matching;
    `user` is read where it has one. `time_zone` is the zone of times without one in an export. Raises DataError where
    nothing matches, ConfigError for a zone that changes nothing.
    """
    if len(paths) == 1 and (table := _table_of_ids(paths[0], catalogue)) is not None:
        if time_zone is not None:
            raise ConfigError(f"{paths[0]} is a table of track ids, whose times are not read", fix=_LEAVE_OUT)
        return table
    return match(load_history(list(paths), time_zone=time_zone).plays, catalogue)


def _table_of_ids(path: Path, catalogue: pl.DataFrame) -> Matched | None:
    """A table of plays by id as matched plays; None for other files, and for ids of which the catalogue has none."""
    if not path.is_file() or Path(plain_name(path)).suffix.lower() not in KINDS:
        return None
    try:
        table = open_table(path)
        name = next(name for name in IDS if name in table.names)
        rows = table.read([name, *(column for column in ("user", "time") if column in table.names)])
    except (DataError, StopIteration):
        return None  # an importer says what is wrong with the file
    ids = rows[name].cast(pl.String)
    known = ids.is_in(catalogue["track"].to_list())
    if not known.any():
        return None
    user = rows["user"].cast(pl.String) if "user" in rows.columns else pl.Series(["me"] * len(rows), dtype=pl.String)
    time = pl.Series([None] * len(rows), dtype=pl.Datetime("us"))
    pairs = pl.DataFrame(
        {"user": user, "track": ids, "time": time, "plays": pl.Series([1] * len(rows), dtype=pl.Int64)}
    )
    counts = pl.DataFrame({"id": ids}).group_by("id", maintain_order=True).len("plays")
    there = pl.col("id").is_in(catalogue["track"].to_list())
    how = counts.select(
        "plays", method=pl.when(there).then(pl.lit("id")).otherwise(pl.lit("unmatched")),
        track=pl.when(there).then("id"), title="id",
    )  # fmt: skip
    return Matched(pairs.filter(known), how)
