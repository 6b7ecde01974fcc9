"""HetRec 2011 Last.fm: play counts of artists, and tags of artists."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import polars as pl

from timbrec.data.events import Events, make_events
from timbrec.datasets.shared.base import Dataset, read_lines, reading
from timbrec.errors import DataError
from timbrec.store.vectors import Vectors
from timbrec.types import Array, Float32

if TYPE_CHECKING:
    from scipy.sparse import csr_array


@dataclass(frozen=True)
class HetRec(Dataset):
    """1,892 Last.fm users and 17,632 artists (as tracks): play counts without dates, and dated tags.

    `seed` splits the users into two halves. `events` are the plays of one half; `vectors` describe artists by the tags
    of the other half, so that content never contains an evaluated user's own tags. `dims` are the lengths of the
    vectors, one kind of vectors each.

    Files: user_artists.dat, user_taggedartists.dat and artists.dat; tab-separated, LF or CRLF, with or without header.
    Names of artists are UTF-8 and may contain quotes.
    """

    seed: int = 0
    dims: tuple[int, ...] = (128,)

    name: ClassVar[str] = "HetRec 2011 Last.fm-2K"
    licence: ClassVar[str] = "non-commercial use; commercial use by agreement with Last.fm"
    citation: ClassVar[str] = (
        "Cantador, Brusilovsky, Kuflik: 2nd Workshop on Information Heterogeneity and Fusion in Recommender Systems "
        "(HetRec 2011), RecSys 2011; Last.fm, http://www.lastfm.com"
    )
    url: ClassVar[str] = "https://grouplens.org/datasets/hetrec-2011/"

    def events(self) -> Events:
        """The plays of the evaluated half: one row per (user, artist) with its count, without time."""
        with reading(self.file("user_artists.dat")):
            return make_events(self._plays().filter(pl.col("user").is_in(self._evaluated().implode())))

    def items(self) -> pl.DataFrame:
        """`track_id` and `name` of every artist."""
        table = _without_header(
            read_lines(self.file("artists.dat"), ["track_id", "name", "url", "picture"], ragged=True)
        )
        return table.select("track_id", "name")

    def vectors(self) -> dict[str, Vectors]:
        """The vectors "tags-<length>", for each length in `dims`, of all artists with tags of the other half.

        The truncated SVD, scaled by the singular values, of the TF-IDF matrix (artists, tags) with rows of unit length:
        term frequency 1 + ln(taggers), inverse document frequency 1 + ln((1 + artists) / (1 + artists with the tag)).
        Deterministic given `seed`.
        """
        tags = self._tags().filter(~pl.col("user").is_in(self._evaluated().implode()))
        artists, tag_ids = (tags[name].unique().sort() for name in ("item", "tag"))
        rows, columns = (ids.search_sorted(tags[ids.name]).to_numpy() for ids in (artists, tag_ids))
        reduced = _svd(_tfidf(rows, columns, (len(artists), len(tag_ids))), max(self.dims), self.seed)
        return {f"tags-{dim}": Vectors(artists, np.ascontiguousarray(reduced[:, :dim])) for dim in self.dims}

    def tag_events(self) -> Events:
        """The tags of all users as a log: one row per (user, artist, tag) at 00:00 UTC of its day.

        Nearly all dates are the first of a month, and five lie between 1956 and 1979, before Last.fm existed. The log
        serves to test splits by time. It cannot judge `vectors`, which are made from the same tags.
        """
        with reading(self.file("user_taggedartists.dat")):
            return make_events(self._tags().select("user", "item", pl.datetime("year", "month", "day").alias("time")))

    def _plays(self) -> pl.DataFrame:
        return self._numbers("user_artists.dat", ["user", "item", "plays"])

    def _tags(self) -> pl.DataFrame:
        return self._numbers("user_taggedartists.dat", ["user", "item", "tag", "day", "month", "year"])

    def _evaluated(self) -> pl.Series:
        """Half of the users who played anything."""
        users = self._plays()["user"].unique().sort()
        return users.gather(np.random.default_rng(self.seed).permutation(len(users))[: len(users) // 2])

    def _numbers(self, name: str, columns: list[str]) -> pl.DataFrame:
        path = self.file(name)
        with reading(path):
            return _without_header(read_lines(path, columns)).cast(pl.Int64)


def _without_header(table: pl.DataFrame) -> pl.DataFrame:
    """The rows below a header. Official files start with column names, copies with `//` and names, or with none."""
    is_header = table.height and not table.row(0)[0].isdigit()
    return table.slice(1) if is_header else table


def _tfidf(rows: Array, columns: Array, shape: tuple[int, int]) -> csr_array:
    from scipy.sparse import csr_array

    counts = csr_array((np.ones(len(rows)), (rows, columns)), shape=shape)
    counts.sum_duplicates()
    with_tag = np.bincount(counts.indices, minlength=shape[1])
    weights = (1 + np.log(counts.data)) * (1 + np.log((1 + shape[0]) / (1 + with_tag)))[counts.indices]
    weighted = csr_array((weights, counts.indices, counts.indptr), shape=shape)
    lengths = np.sqrt(np.asarray(weighted.power(2).sum(axis=1)))
    weighted.data /= np.repeat(lengths, np.diff(weighted.indptr))
    return weighted


def _svd(matrix: csr_array, dim: int, seed: int) -> Float32[Array, "rows dim"]:
    """Left singular vectors times singular values, largest first, each signed so that its largest entry is positive."""
    from scipy.sparse.linalg import svds

    if dim >= min(matrix.shape):
        raise DataError(f"{min(matrix.shape)} tags or artists give no {dim} dimensions", fix="Ask for fewer in `dims`.")
    start = np.random.default_rng(seed).standard_normal(min(matrix.shape))
    left, values, _ = svds(matrix, dim, v0=start)
    order = np.argsort(-values)
    left, values = left[:, order], values[order]
    signs = np.sign(left[np.abs(left).argmax(0), np.arange(dim)])
    return np.asarray(left * (signs * values), dtype=np.float32)
