"""Vocabularies: the mapping between ids of the user's data and row numbers."""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Iterable
from functools import cached_property

import numpy as np
import polars as pl

from timbrec.errors import DataError
from timbrec.types import Array, Int

_FEW, _FEWER = 0.01, 4  # a share of a vocabulary, and a number of ids


class Vocabulary:
    """Distinct ids in a fixed order; the row of an id is its place in that order. Immutable.

    Ids are stored as strings, integers by their decimal digits. Raises DataError for a repeated or null id.
    """

    def __init__(self, ids: Iterable[str] | pl.Series) -> None:
        self.ids = _strings(ids)
        if nulls := self.ids.null_count():
            raise DataError("ids must not be empty", count=nulls, fix="Drop these rows or fill them in.")
        if self.ids.n_unique() < len(self.ids):  # finding the repeated ids takes five times as long
            repeated = self.ids.filter(self.ids.is_duplicated())
            raise DataError(
                "ids must be distinct", count=repeated.n_unique(), example=repeated[0], fix="Keep one row per id."
            )

    @classmethod
    def of(cls, ids: pl.Series) -> Vocabulary:
        """The distinct ids of a column in ascending order: by value for integers, by code point for strings."""
        plain = ids if ids.dtype.is_integer() else ids.cast(pl.String)  # an Enum would sort in its own order
        return cls(plain.unique().drop_nulls().sort())

    @classmethod
    def numbers(cls, values: pl.Series) -> Int[Array, "n"]:
        """(n,) a number per distinct value of a column, in the order of `of`; -1 for null."""
        return cls.of(values).rows(values)

    def __len__(self) -> int:
        return len(self.ids)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vocabulary) and self.ids.equals(other.ids)

    def __hash__(self) -> int:
        return hash(self.digest)

    @cached_property
    def digest(self) -> str:
        """A hash of the ids and their order."""
        lengths = self.ids.str.len_bytes().to_numpy()
        return hashlib.sha256(lengths.tobytes() + "".join(self.ids).encode()).hexdigest()[:16]

    def rows(self, ids: Iterable[str] | pl.Series) -> Int[Array, "n"]:
        """The row of each id as int64; -1 where the id is unknown or null."""
        queries = _strings(ids)
        if len(queries) < len(self) * _FEW:
            return self._rows_of_few(queries)
        table = pl.DataFrame({"id": self.ids, "row": np.arange(len(self), dtype=np.int64)})
        joined = pl.DataFrame({"id": queries}).join(table, on="id", how="left", maintain_order="left")
        return joined["row"].fill_null(-1).to_numpy()

    def _rows_of_few(self, queries: pl.Series) -> Int[Array, "n"]:
        """`rows` for so few ids that a hash table of all takes longer than a comparison with all."""
        if self._ascending and len(queries) > _FEWER:
            places = self.ids.search_sorted(queries.fill_null("")).to_numpy()
            present = np.minimum(places, len(self) - 1).tolist()
        elif self._ascending:
            present = [bisect_left(self.ids, name, hi=len(self) - 1) for name in queries if name is not None]
        elif len(queries) > _FEWER:
            present = self.ids.is_in(queries.implode()).arg_true().to_list()
        else:
            present = [row for name in queries for row in (self.ids == name).arg_true()]
        row_of = {self.ids[row]: row for row in present}
        return np.array([row_of.get(name, -1) for name in queries], np.int64)

    @cached_property
    def _ascending(self) -> bool:
        """Whether the ids ascend by code point, so that binary search finds them."""
        return self.ids.is_sorted()

    def take(self, rows: Int[Array, "n"]) -> pl.Series:
        """The ids of these rows, in the given order."""
        return self.ids.gather(rows)


def _strings(ids: Iterable[str] | pl.Series) -> pl.Series:
    series = ids if isinstance(ids, pl.Series) else pl.Series(list(ids), dtype=pl.String)
    return series.cast(pl.String).alias("id")
