"""Reader of the items table: the artist and, optionally, the genre and the album of each track."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import polars as pl
from pydantic import model_validator

from timbrec.data.ids import checked_ids, meaningless
from timbrec.data.settings import Name, TablePart
from timbrec.data.table_kinds import Table
from timbrec.data.tables import open_table
from timbrec.errors import DataError

COLUMNS = {"item": "track_id", "artist": "artist_id"}
OPTIONAL = ("genre", "album")  # columns of these names are read if the table has them


class ItemsConfig(TablePart):
    """Location of the items table; `columns` maps the roles item, artist, genre and album to column names.

    `artist: null` says that the table names the tracks, and no artists.
    """

    columns: dict[Literal["item", "artist", "genre", "album"], Name | None] = {}

    @model_validator(mode="after")
    def _named(self) -> ItemsConfig:
        if unnamed := [role for role, name in self.columns.items() if name is None and role != "artist"]:
            raise ValueError(f"name a column for {unnamed[0]}; only `artist` may be null, for tables without artists")
        return self

    @property
    def has_artists(self) -> bool:
        """Whether the table names the artists of tracks."""
        return self.columns.get("artist", "") is not None


def read_items(config: ItemsConfig) -> pl.DataFrame:
    """The items table of a config; see `make_items`."""
    return make_items(open_table(config.source), config.columns)


def make_items(table: Table, columns: Mapping[Any, str | None]) -> pl.DataFrame:
    """A table of `item`, `artist` and, with such columns, `genre` and `album` as text; missing values are null.

    `artist` is left out where `columns` gives None for it.

    Raises DataError for an unreadable file, a missing column and a track with several rows.
    """
    roles = COLUMNS | {name: name for name in OPTIONAL if name in table.names} | dict(columns)
    names = {str(role): name for role, name in roles.items() if name is not None}
    rows = table.read(list(dict.fromkeys(names.values())))
    for name in OPTIONAL:  # lists, such as several genres per track, and figures are not read unless a role names them
        if name in names and name not in columns and (rows[name].dtype.is_nested() or rows[name].dtype.is_float()):
            del names[name]
    for name in names.values():
        checked_ids(rows[name], f"{table.path}: column {name!r}")
    items = pl.DataFrame([rows[name].cast(pl.String).alias(role) for role, name in names.items()])
    items = items.with_columns(
        pl.when(~meaningless(items[role])).then(role).alias(role) for role in names if role != "item"
    )
    if len(repeated := items.filter(pl.col("item").is_duplicated())):
        raise DataError(f"{table.path} has tracks twice", count=len(repeated), example=repeated["item"][0],
                        fix="Keep one row per track.")  # fmt: skip
    return items
