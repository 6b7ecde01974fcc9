"""The catalogue of a run, and the columns of the items table for its tracks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from timbrec.data.events import Events
from timbrec.data.ids import likeness
from timbrec.data.vocabulary import Vocabulary
from timbrec.errors import DataError

if TYPE_CHECKING:
    from timbrec.store import VectorSource


def shared_catalogue(log: Events, sources: dict[str, VectorSource]) -> Vocabulary:
    """The tracks for which every source has a vector, in ascending order of id.

    The catalogue does not depend on the log, so that nothing played after T can move a row. Raises DataError when the
    sources share no track, or the log has none of the shared tracks.
    """
    if empty := [name for name, source in sources.items() if not len(source)]:
        raise DataError(f"{empty[0]} has no vectors", fix="Embed the audio again, or leave the encoder out.")
    catalogue = Vocabulary(shared_ids(sources))
    if not len(catalogue):
        ids = [source.ids for source in sources.values()]
        near = next((near for other in ids[1:] if (near := likeness(ids[0], other))), None)
        what = "no track has a vector from every encoder"
        raise DataError(
            f"{what}: ids differ by {near}" if near else what,
            example=[other[0] for other in ids],
            fix="Make the ids the same kind.",
        )
    if not (catalogue.rows(log.items.ids) >= 0).any():
        near = likeness(log.items.ids, catalogue.ids)
        raise DataError(
            "no track of the log has vectors" + (f": ids differ by {near}" if near else ""),
            example=None if near else (log.items.ids[0], catalogue.ids[0]),
            fix="Make the ids of the log and of the vectors the same kind.",
        )
    return catalogue


def shared_ids(sources: dict[str, VectorSource]) -> list[str]:
    """The ids for which every source has a vector, in ascending order."""
    return sorted(set.intersection(*(set(source.ids) for source in sources.values())))


def artists_of(items: pl.DataFrame, catalogue: Vocabulary) -> pl.Series:
    """The artist of each track of the catalogue, null where unknown. Raises DataError where all are unknown."""
    artists = _aligned(items, catalogue, "artist")
    if artists.is_null().all():
        shared = catalogue.ids.filter(catalogue.ids.is_in(items["item"].implode()))
        if len(shared):
            raise DataError(
                "the items table names the artist of no track that has vectors",
                count=len(shared), example=shared[0], fix="Fill the column in, or leave the table out.",
            )  # fmt: skip
        near = likeness(items["item"], catalogue.ids)
        raise DataError(
            "the items table knows the artist of no track that has vectors"
            + (f": ids differ by {near}" if near else ""),
            example=None if near else (items["item"].first(), catalogue.ids[0]),
            fix="Make the ids of the table and of the vectors the same kind.",
        )
    return artists


def column_of(items: pl.DataFrame | None, catalogue: Vocabulary, column: str) -> pl.Series | None:
    """A column of the items table by track; None without the table or the column."""
    return None if items is None or column not in items.columns else _aligned(items, catalogue, column)


def _aligned(items: pl.DataFrame, catalogue: Vocabulary, column: str) -> pl.Series:
    """A column of the items table for the catalogue's tracks, in row order; null for tracks that it lacks."""
    return catalogue.ids.to_frame("item").join(items, on="item", how="left", maintain_order="left")[column]
