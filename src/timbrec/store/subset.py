"""Subset of the tracks of a source of vectors."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property

import numpy as np
import polars as pl

from timbrec.data.vocabulary import Vocabulary
from timbrec.places import Rows
from timbrec.store.source import Ids, VectorSource, as_ids
from timbrec.store.speed import Speed
from timbrec.types import Array, Int

_BLOCK = 1 << 14  # tracks hashed at once


class Subset(VectorSource):
    """Source of the vectors of `ids` in another source; ids without a vector are left out.

    The digest depends on these ids and vectors only, not on other content of the source.
    """

    def __init__(self, source: VectorSource, ids: Ids) -> None:
        self._source, self.name = source, source.name
        chosen = as_ids(ids, source.name)
        self._chosen = Vocabulary(chosen.filter(source.has(chosen)))

    @property
    def whole(self) -> VectorSource:
        """The source that contains these vectors."""
        return self._source

    @property
    def dim(self) -> int:
        """Number of dimensions."""
        return self._source.dim

    @cached_property
    def zeros(self) -> int:
        """Number of zero vectors."""
        return int((~self.aligned(self.ids).any(axis=1)).sum())

    @cached_property
    def digest(self) -> str:
        """Hash of the ids and their vectors, in ascending order of id."""
        ids, digest = self.ids.sort(), hashlib.sha256()
        for start in range(0, len(ids), _BLOCK):
            block = ids[start : start + _BLOCK]
            digest.update("\0".join(block).encode() + b"\0")
            digest.update(np.ascontiguousarray(self.aligned(block)).data)
        return digest.hexdigest()

    @property
    def speed(self) -> Speed | None:
        """The measured speed of the encoder, from the other source."""
        return self._source.speed

    def audio_of(self, ids: pl.Series) -> pl.Series | None:
        """The hash of each id's decoded audio, from the other source."""
        return self._source.audio_of(ids)

    def __len__(self) -> int:
        return len(self._chosen)

    @property
    def _vocabulary(self) -> Vocabulary:
        return self._chosen

    @property
    def _part_rows(self) -> Sequence[int]:
        return self._source._part_rows

    def _part(self, number: int) -> Rows:
        return self._source._part(number)

    def _rows(self, ids: pl.Series) -> Int[Array, "n"]:
        return np.where(self._chosen.rows(ids) >= 0, self._source._rows(ids), -1)
