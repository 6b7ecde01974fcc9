"""Reader of the items table: the artist and, optionally, the genre of each track."""

from __future__ import annotations

from typing import Literal

import polars as pl

from timbrec.data.ids import checked_ids, meaningless
from timbrec.data.settings import Name, TablePart
from timbrec.data.tables import open_table
from timbrec.errors import DataError

COLUMNS = {"item": "track_id", "artist": "artist_id"}


class ItemsConfig(TablePart):
    """Location of the items table; `columns` maps the roles item, artist and genre to column names."""

    columns: dict[Literal["item", "artist", "genre"], Name] = {}


def read_items(config: ItemsConfig) -> pl.DataFrame:
    """A table of `item`, `artist` and, with such a column, `genre` as text; missing values ("", "NULL") are null.

    Raises DataError for an unreadable file, a missing column and a track with several rows.
    """
    table = open_table(config.source)
    names = COLUMNS | ({"genre": "genre"} if "genre" in table.names else {})
    names |= {str(role): name for role, name in config.columns.items()}
    rows = table.read(list(dict.fromkeys(names.values())))
    if "genre" in names and "genre" not in config.columns and isinstance(rows["genre"].dtype, pl.List | pl.Array):
        del names["genre"]  # several genres per track; nobody asked for them
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
