"""Counts of plays in the library of a Jellyfin server, which has no time of each play."""

from __future__ import annotations

import polars as pl

from timbrec.errors import DataError
from timbrec.importers.shared.base import plays_table
from timbrec.importers.shared.moments import moment
from timbrec.importers.shared.sqlite import Database

_OLDER = ("TypedBaseItems", "UserDatas")  # tables of library.db, up to version 10.10
_NEWER = ("BaseItems", "UserData")  # tables of jellyfin.db, from version 10.11 on
_JOINS = {_OLDER: ("items.UserDataKey = data.key", "data.key"), _NEWER: ("items.Id = data.ItemId", "data.ItemId")}
_QUERY = """
SELECT CAST(data.UserId AS TEXT), CAST({id} AS TEXT), items.Name, items.Album, REPLACE(items.Artists, '|', ', '),
       items.Path, items.RunTimeTicks / 10000000.0, COALESCE(items.Type LIKE '%.Audio.Audio', 0),
       MAX(data.PlayCount), MAX(CAST(data.LastPlayedDate AS TEXT))
FROM {data} AS data LEFT JOIN {items} AS items ON {join}
WHERE data.PlayCount > 0 GROUP BY data.UserId, {id}
"""
_SCHEMA = {
    "user": pl.String, "source_id": pl.String, "title": pl.String, "album": pl.String, "artist": pl.String,
    "path": pl.String, "duration_s": pl.Float64, "audio": pl.Int64, "plays": pl.Int64, "last": pl.String,
}  # fmt: skip


def has_library(database: Database) -> bool:
    """Whether a database is a server's library."""
    return any(database.tables.issuperset(tables) for tables in _JOINS)


def library_plays(database: Database) -> tuple[pl.DataFrame, int]:
    """A row per user and track with its plays at the time of the last one, in UTC, and the number of other items.

    Other items are films, series and items that were deleted. Raises DataError if nobody played a track.
    """
    tables = next(tables for tables in (_NEWER, _OLDER) if database.tables.issuperset(tables))
    (items, data), (join, key) = tables, _JOINS[tables]
    rows = database.read(_QUERY.format(items=items, data=data, join=join, id=key), _SCHEMA)
    audio = rows.filter(audio=1)
    if audio.is_empty():
        raise DataError(f"{database.name} has no play of a track", fix="Name the database of a server that was used.")
    return plays_table(audio.with_columns(time=moment(pl.col("last")))), len(rows) - len(audio)
