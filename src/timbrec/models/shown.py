"""Tables of recommendations, with the reasons for each track."""

from __future__ import annotations

import numpy as np
import polars as pl

from timbrec.models.index import Index
from timbrec.types import Array, Bool, Float32, Int


def reasons_for(
    index: Index | None, rows: Int[Array, "n"], played: Int[Array, "m"], labels: pl.Series, count: int
) -> pl.Series | None:
    """The names of the `count` played tracks most similar to each listed one, most similar first.

    `labels` (tracks,) are the names of all tracks. None without vectors, and for a single played track, which would be
    the reason for everything.
    """
    if index is None or index.items.shape[1] < 2 or not count or len(played) < 2:
        return None
    similar = index.directions(rows) @ index.directions(played).T
    nearest = played[np.argsort(-similar, axis=1, kind="stable")[:, :count]]
    return pl.Series("because", [[labels[place] for place in row] for row in nearest.tolist()], pl.List(pl.String))


def table_of(
    catalogue: pl.DataFrame,
    rows: Int[Array, "n"],
    scores: Float32[Array, "n"],
    new: Bool[Array, "n"],
    because: pl.Series | None,
) -> pl.DataFrame:
    """The table of a list, made of columns: a frame's own expressions take longer than the search.

    Columns are made of lists, because polars imports numpy.ma for arrays, which takes as long as a search.
    """
    facts = catalogue[rows.tolist()]
    return pl.DataFrame(
        [
            pl.Series("rank", range(1, len(rows) + 1), pl.Int64),
            facts["track"].alias("item"),
            pl.Series("score", scores.tolist(), pl.Float32),
            *(facts[name] for name in ("title", "artist", "album", "year")),
            pl.Series("new", new.tolist(), pl.Boolean),
            pl.Series("because", [None] * len(rows), pl.List(pl.String)) if because is None else because,
            *(facts[name] for name in ("duration_s", "path", "mbid", "isrc")),
        ]
    )
