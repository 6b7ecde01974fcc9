"""Reading the table of tracks: who made them."""

from __future__ import annotations

from typing import Literal

import polars as pl

from timbrec.data.ids import checked_ids, meaningless
from timbrec.data.settings import Name, TablePart
from timbrec.data.tables import open_table
from timbrec.errors import DataError

COLUMNS = {"item": "track_id", "artist": "artist_id"}


class ItemsConfig(TablePart):
    """Where the table of tracks is, for artist-mean and the audit; `columns` maps our names to the file's."""

    columns: dict[Literal["item", "artist"], Name] = {}


def read_items(config: ItemsConfig) -> pl.DataFrame:
    """`item` and `artist` of each track as text; artists that mean nothing ("", "NULL") are null.

    Raises DataError for a file that cannot be read, for columns it lacks, and for tracks that come twice.
    """
    table = open_table(config.source)
    names = COLUMNS | {str(ours): theirs for ours, theirs in config.columns.items()}
    rows = table.read(list(dict.fromkeys(names.values())))
    for name in names.values():
        checked_ids(rows[name], f"{table.path}: column {name!r}")
    items = pl.DataFrame([rows[theirs].cast(pl.String).alias(ours) for ours, theirs in names.items()])
    items = items.with_columns(pl.when(~meaningless(items["artist"])).then("artist").alias("artist"))
    if len(repeated := items.filter(pl.col("item").is_duplicated())):
        raise DataError(f"{table.path} has tracks twice", count=len(repeated), example=repeated["item"][0],
                        fix="Keep one row per track.")  # fmt: skip
    return items
