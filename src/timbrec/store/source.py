"""Access to vectors by id: the only place that maps a track's id to its vector."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

import numpy as np
import polars as pl

from timbrec.data.vocabulary import Vocabulary
from timbrec.errors import DataError, StoreError
from timbrec.places import Rows
from timbrec.store.speed import Speed
from timbrec.types import Array, Bool, Float32, Int

Ids = Iterable[object]  # strings or whole numbers; `as_ids` refuses other types
_BLOCK_BYTES = 32 << 20


class VectorSource(ABC):
    """Vectors of tracks, accessible by id only: row numbers stay inside.

    `name` is the origin of the vectors in messages. Subclasses provide the ids, and the rows in parts of any real
    dtype.
    """

    name: str
    facts: Sequence[tuple[str, str]] = ()  # remarks (label, detail) on how a file was read
    dimensions: Sequence[str] = ()  # their names, if a table has them

    @property
    @abstractmethod
    def dim(self) -> int:
        """Number of dimensions."""

    @property
    @abstractmethod
    def zeros(self) -> int:
        """Number of zero vectors, for which no cosine exists."""

    @property
    @abstractmethod
    def digest(self) -> str:
        """Hash of the ids and the vectors."""

    @property
    @abstractmethod
    def _vocabulary(self) -> Vocabulary: ...

    @property
    @abstractmethod
    def _part_rows(self) -> Sequence[int]: ...

    @abstractmethod
    def _part(self, number: int) -> Rows: ...

    @property
    def ids(self) -> pl.Series:
        """Ids as strings, in their original order."""
        return self._vocabulary.ids

    def _rows(self, ids: pl.Series) -> Int[Array, "n"]:
        """Row of each id, counted through all parts; -1 for unknown ids."""
        return self._vocabulary.rows(ids)

    def __len__(self) -> int:
        return sum(self._part_rows)

    def has(self, ids: Ids) -> Bool[Array, "n"]:
        """Mask of the ids that have a vector."""
        return self._rows(as_ids(ids, self.name)) >= 0

    @property
    def speed(self) -> Speed | None:
        """The measured speed of the encoder; None if unknown."""
        return None

    def audio_of(self, ids: pl.Series) -> pl.Series | None:
        """The hash of each id's decoded audio, null where unknown; None for a source that does not know audio."""
        return None

    def aligned(self, ids: Ids) -> Float32[Array, "n dim"]:
        """Return the vectors of these ids, row i for id i, as a new float32 array; ids may repeat.

        Reads only the rows needed, in their order on disk, a block at a time. Raises StoreError for ids without a
        vector.
        """
        requested = as_ids(ids, self.name)
        rows = self._rows(requested)
        if len(missing := requested.filter(rows < 0)):
            raise StoreError(
                f"{self.name}: some ids have no vector",
                count=len(missing),
                example=missing[0],
                fix="Leave these tracks out, or add their vectors.",
            )
        out = np.empty((len(rows), self.dim), np.float32)
        order = np.argsort(rows, kind="stable")
        starts = np.cumsum([0, *self._part_rows])
        for number, (low, high) in enumerate(pairwise(np.searchsorted(rows[order], starts))):
            if low < high:
                _copy(self._part(number), rows[order[low:high]] - starts[number], order[low:high], out)
        return out


def as_ids(ids: Ids, name: str) -> pl.Series:
    """Return ids as strings; whole numbers become decimal digits. Raises DataError for other types."""
    try:
        series = ids if isinstance(ids, pl.Series) else pl.Series(ids if isinstance(ids, np.ndarray) else list(ids))
    except (TypeError, pl.exceptions.PolarsError) as error:
        raise DataError(f"{name}: the ids are of mixed types", fix="Make them all strings.") from error
    kind = series.dtype
    if not (kind.is_integer() or kind in (pl.String, pl.Categorical, pl.Enum, pl.Null)):
        example = series[0] if len(series) else None
        raise DataError(f"{name}: the ids are {kind}", example=example, fix="Give strings or whole numbers.")
    return series.cast(pl.String).alias("id")


def distinct_ids(ids: Ids, name: str) -> pl.Series:
    """Return ids as strings. Raises DataError if an id is null, empty or repeated."""
    series = as_ids(ids, name)
    if nothing := int((series.is_null() | (series == "")).sum()):
        raise DataError(f"{name}: some ids are empty", count=nothing, fix="Give every vector an id.")
    if series.n_unique() < len(series):
        twice = series.filter(series.is_duplicated())
        raise DataError(
            f"{name}: some ids come more than once",
            count=twice.n_unique(),
            example=twice[0],
            fix="Keep one vector per id.",
        )
    return series


def count_zeros(vectors: Array, ids: pl.Series, dtype: str, name: str) -> int:
    """Return the number of vectors that are zero as `dtype`.

    Raises DataError unless `vectors` is a (len(ids), dim) array of numbers that are finite as `dtype`.
    """
    if vectors.ndim != 2 or vectors.dtype.kind not in "fiu" or not vectors.size:
        raise DataError(
            f"{name}: {vectors.dtype} with shape {vectors.shape} is no array of numbers (tracks, dimensions)",
            fix="Give one row of numbers per track.",
        )
    if len(vectors) != len(ids):
        raise DataError(f"{name}: {len(vectors):,} vectors but {len(ids):,} ids", fix="Give one id per vector.")
    zeros, wrong = 0, []
    for start, block in blocks(vectors, dtype):
        zeros += int((~block.any(axis=1)).sum())
        wrong.append(start + np.flatnonzero(~np.isfinite(block).all(axis=1)))
    if len(rows := np.concatenate(wrong)):
        large = bool(np.isfinite(vectors[rows[0]]).all())
        problem = f"are too large for {dtype} ({np.finfo(dtype).max:,.6g})" if large else "hold NaN or infinite values"
        fix = "Scale them down." if large else "Encode these tracks again, or leave them out."
        raise DataError(f"{name}: some vectors {problem}", count=len(rows), example=ids[int(rows[0])], fix=fix)
    return zeros


def blocks(vectors: Array, dtype: str) -> Iterator[tuple[int, Array]]:
    """Yield blocks of rows as `dtype`, little-endian and contiguous, each with the number of its first row."""
    step = _rows_at_once(vectors)
    for start in range(0, len(vectors), step):
        with np.errstate(over="ignore"):  # overflow becomes infinity, which `count_zeros` refuses
            block = np.ascontiguousarray(vectors[start : start + step], np.dtype(dtype).newbyteorder("<"))
        yield start, block


def _copy(part: Rows, rows: Array, places: Array, out: Array) -> None:
    """Assign part[rows] to out[places], a block at a time."""
    step = _rows_at_once(part)
    for start in range(0, len(places), step):
        block = slice(start, start + step)
        out[places[block]] = part[rows[block]]


def _rows_at_once(vectors: Rows) -> int:
    return max(1, _BLOCK_BYTES // (vectors.shape[1] * max(vectors.itemsize, 4)))
