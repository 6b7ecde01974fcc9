"""Metadata as vectors: columns of the items table, one-hot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from timbrec.data.ids import meaningless
from timbrec.data.items import COLUMNS
from timbrec.errors import ConfigError, DataError, listing
from timbrec.store.vectors import Vectors

if TYPE_CHECKING:
    from timbrec.data.split import Split
    from timbrec.data.table_kinds import Table
    from timbrec.store import VectorSource

USUAL = ("album", "year", "genre")  # read beside the artist if the items table has columns of these names
MOST = 2_048  # columns; the controls take time with the cube of the dimension


def metadata_vectors(
    columns: Sequence[str] | None, source: tuple[Table, Mapping[Any, str | None]] | None, ids: Sequence[str] | None
) -> VectorSource:
    """One-hot vectors of columns of the items table for these tracks, or for all tracks of the table.

    `source` is the open table and its columns by role, as `tracks_table` returns them. Without `columns`, the artist
    and the usual columns that the table has are taken.

    Every value that at least two of the tracks share is a dimension, the most frequent first, at most 2,048 in all.
    Missing values, and values of a single track, are zeros, so a track may have the zero vector. Raises DataError for a
    column that the table lacks, and if no two tracks share a value.
    """
    table, names = _read(columns, source)
    tracks = table["item"].to_list() if ids is None else list(ids)
    rows = pl.DataFrame({"item": tracks}).join(table, on="item", how="left", maintain_order="left")
    counts = pl.concat(
        [
            rows.select(value=name).drop_nulls().group_by("value").len().with_columns(column=pl.lit(name))
            for name in names
        ]
    )
    shared = counts.filter(pl.col("len") > 1).sort("len", "column", "value", descending=[True, False, False])
    if not len(shared):
        raise DataError(
            f"no two tracks share a value of {listing(names)}",
            count=len(tracks),
            example=(tracks[0], table["item"].first()),
            fix="The example shows a track and an id of the items table: make them the same kind.",
        )
    kept = shared.head(MOST).with_row_index("place")
    matrix = np.zeros((len(tracks), len(kept)), np.float32)
    for name in names:
        values = kept.filter(column=name).select("value", "place")
        place = rows.select(value=name).join(values, on="value", how="left", maintain_order="left")["place"]
        known = place.is_not_null().to_numpy()
        matrix[known, place.drop_nulls().to_numpy()] = 1
    facts = [("dimensions, one per value that tracks share", f"{len(kept):,} of {len(shared):,}")]
    facts += [(f"tracks without a value of {name}", f"{rows[name].null_count():,}") for name in names]
    return Vectors(tracks, matrix, "metadata", tuple(facts))


def unheard(source: VectorSource, split: Split) -> tuple[int, int]:
    """The number of cold test tracks that share no value with a train track, and of all cold test tracks.

    The former have no usable metadata: the order of ties decides their places in lists.
    """
    vectors = source.aligned(split.items.ids)
    known = vectors[split.test.train.items].any(0)
    cold = split.test.cold.items
    return int((~vectors[cold][:, known].any(1)).sum()), len(cold)


def _read(
    columns: Sequence[str] | None, source: tuple[Table, Mapping[Any, str | None]] | None
) -> tuple[pl.DataFrame, list[str]]:
    """The items table as text, with the id as `item`; and its columns of metadata."""
    if source is None:
        raise ConfigError("metadata needs a table of tracks", fix="Name one under `items`.")
    table, roles = source[0], COLUMNS | {str(role): name for role, name in source[1].items()}
    usual = [roles["artist"], *(roles.get(name, name) for name in USUAL)]
    names = list(columns or ()) or [name for name in dict.fromkeys(usual) if name and name in table.names]
    item = str(roles["item"])
    rows = table.read([item, *names])
    text = pl.DataFrame([rows[name].cast(pl.String) for name in names])
    text = text.with_columns(pl.when(~meaningless(text[name])).then(name).alias(name) for name in names)
    return text.with_columns(item=rows[item].cast(pl.String)).unique("item", keep="first"), list(names)
