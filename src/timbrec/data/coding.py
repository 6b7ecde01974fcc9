"""Codes of ids: a number per distinct id, so that a long column takes four bytes per row."""

from __future__ import annotations

import numpy as np
import polars as pl

from timbrec.data.order import argsort, starts
from timbrec.data.vocabulary import Vocabulary
from timbrec.errors import DataError
from timbrec.types import Array, Int, UInt64

_ROWS = 1 << 21  # rows that are sorted at once
_SEEDS = (1, 2)  # of the hash that identifies an id, and of the one that checks it


class Codes:
    """The distinct ids of a column that arrives in blocks. The code of an id is its place in `ids`.

    An id is identified by a hash of 64 bits. A second hash of 64 bits, which must agree too, keeps two ids with the
    same first hash from counting as one.
    """

    def __init__(self) -> None:
        self._hashes = [np.zeros(0, np.uint64), np.zeros(0, np.uint64)]  # of known ids, by the first hash
        self._codes = np.zeros(0, np.uint32)  # of known ids, by the first hash
        self._ids: list[pl.Series] = []
        self._numbers = True

    @property
    def ids(self) -> pl.Series:
        """The distinct ids by code: whole numbers if all blocks held whole numbers, else text."""
        texts = pl.concat([pl.Series("id", [], dtype=pl.String), *self._ids])
        return texts.cast(pl.Int128) if self._numbers else texts

    def of(self, column: pl.Series) -> pl.Series:
        """The code of each id as UInt32, null for null; new ids get the next codes."""
        self._numbers &= column.dtype.is_integer()
        blocks = (column.slice(start, _ROWS) for start in range(0, len(column), _ROWS))
        parts = [self._coded(block.cast(pl.String)) for block in blocks]
        return pl.concat([pl.Series(column.name, [], dtype=pl.UInt32), *parts])

    def _coded(self, texts: pl.Series) -> pl.Series:
        present = texts.is_not_null()
        some = texts if present.all() else texts.filter(present)
        keys, checks = _hashes(some)
        order = argsort(keys)
        ordered = keys[order]
        begin = starts(ordered)
        self._learn(some, ordered[begin], checks[order[begin]], order[begin])
        places = np.searchsorted(self._hashes[0], ordered[begin])
        group = np.cumsum(begin) - 1
        if (self._hashes[1][places][group] != checks[order]).any():
            raise DataError("two ids of the log have the same hash", fix="Number the ids, and read the log again.")
        codes = np.empty(len(some), np.uint32)
        codes[order] = self._codes[places][group]
        whole = pl.Series(texts.name, [None], dtype=pl.UInt32).new_from_index(0, len(texts))
        return whole.scatter(present.arg_true(), codes) if len(some) < len(texts) else pl.Series(texts.name, codes)

    def _learn(
        self, texts: pl.Series, keys: UInt64[Array, "n"], checks: UInt64[Array, "n"], rows: Int[Array, "n"]
    ) -> None:
        """Add the ids that are new: distinct `keys`, ascending, of the texts at `rows`."""
        places = np.searchsorted(self._hashes[0], keys)
        known = np.zeros(len(keys), bool)
        inside = places < len(self._codes)
        known[inside] = self._hashes[0][places[inside]] == keys[inside]
        if known.all():
            return
        new = ~known
        places = places[new]
        codes = len(self._codes) + np.arange(len(places), dtype=np.uint32)
        self._ids.append(_compact(texts.gather(rows[new])))
        self._hashes = [
            np.insert(old, places, more[new]) for old, more in zip(self._hashes, (keys, checks), strict=True)
        ]
        self._codes = np.insert(self._codes, places, codes)


def _hashes(texts: pl.Series) -> list[UInt64[Array, "n"]]:
    """Two hashes of each text."""
    return [texts.hash(seed).to_numpy() for seed in _SEEDS]


def vocabulary(codes: pl.Series, ids: pl.Series) -> tuple[Vocabulary, pl.Series]:
    """The vocabulary of the ids that a column of codes uses, in the order of `Vocabulary.of`, and the column's rows."""
    used = np.flatnonzero(np.bincount(codes.to_numpy(), minlength=len(ids)))
    present = ids.gather(used)
    order = present.arg_sort().to_numpy()
    row_of = np.zeros(len(ids), np.uint32)
    row_of[used[order]] = np.arange(len(used), dtype=np.uint32)
    return Vocabulary(present.gather(order)), pl.Series(codes.name, row_of[codes.to_numpy()])


def _compact(texts: pl.Series) -> pl.Series:
    """A copy that does not keep the memory of the column that the texts were taken from."""
    return texts.to_frame("id").select(pl.concat_str("id", pl.lit(""))).to_series()
