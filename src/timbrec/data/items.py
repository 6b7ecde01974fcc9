"""Reader of the items table: the artist of each track."""

from __future__ import annotations

from typing import Literal

import polars as pl

from timbrec.data.ids import checked_ids, meaningless
from timbrec.data.settings import Name, TablePart
from timbrec.data.tables import open_table
from timbrec.errors import DataError

COLUMNS = {"item": "track_id", "artist": "artist_id"}


class ItemsConfig(TablePart):
    """Location of the items table; `columns` maps the roles item and artist to column names."""

    columns: dict[Literal["item", "artist"], Name] = {}


def read_items(config: ItemsConfig) -> pl.DataFrame:
    """A table of `item` and `artist` as text; missing artists ("", "NULL") are null.

    Raises DataError for an unreadable file, a missing column and a track with several rows.
    """
    table = open_table(config.source)
    names = COLUMNS | {str(role): name for role, name in config.columns.items()}
    rows = table.read(list(dict.fromkeys(names.values())))
    for name in names.values():
        checked_ids(rows[name], f"{table.path}: column {name!r}")
    items = pl.DataFrame([rows[name].cast(pl.String).alias(role) for role, name in names.items()])
    items = items.with_columns(pl.when(~meaningless(items["artist"])).then("artist").alias("artist"))
    if len(repeated := items.filter(pl.col("item").is_duplicated())):
        raise DataError(f"{table.path} has tracks twice", count=len(repeated), example=repeated["item"][0],
                        fix="Keep one row per track.")  # fmt: skip
    return items
