"""Checks for vectors that distort similarities: zeros, copies, and dimensions of huge scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from timbrec.store.source import VectorSource
from timbrec.types import Array, Float32, UInt64

_BLOCK_BYTES = 32 << 20
_FEW = 10  # vectors up to which a dimension may count the rows by chance
_HUGE = 1000  # times the median standard deviation of a dimension


@dataclass(frozen=True)
class Health:
    """Counts of odd vectors among `rows`, each with the id of an example.

    `zeros` counts zero vectors; `copies` counts nonzero vectors that equal another vector. `huge` lists the dimensions
    with a standard deviation above 1,000 times the median one; `times` is the ratio of the largest to the median.
    `numbered` lists the dimensions that count the rows (0, 1, 2, ...) or equal the ids, as a stored index does.
    `content` is a hash of all vectors in any order, whatever their ids.
    """

    rows: int
    zeros: int
    zero: str | None
    copies: int
    copy: str | None
    huge: tuple[int, ...]
    times: float
    content: int
    numbered: tuple[int, ...] = ()

    def remarks(self, names: Sequence[str] = ()) -> list[str]:
        """Return a sentence for each oddity; `names` are the names of the dimensions, if known."""
        remarks = []
        if self.zeros:
            remarks.append(
                f"{self.zeros:,} of {self.rows:,} vectors are all zero (e.g. {self.zero!r}): no cosine exists"
            )
        if self.copies:
            remarks.append(f"{self.copies:,} of {self.rows:,} vectors equal that of another track (e.g. {self.copy!r})")
        if self.huge:
            shown = ", ".join(repr(names[place]) if names else str(place) for place in self.huge[:3])
            which = f"dimension {shown} is" if len(self.huge) == 1 else f"{len(self.huge)} dimensions ({shown}) are"
            remarks.append(f"{which} {self.times:,.0f} times larger than the others and decides every cosine")
        if self.numbered:
            shown = ", ".join(repr(names[place]) if names else str(place) for place in self.numbered[:3])
            remarks.append(f"dimension {shown} counts the rows or equals the ids: an index, no dimension; leave it out")
        return remarks


def examine(source: VectorSource) -> Health:
    """Return the health of all vectors of a source, read once, a block at a time."""
    ids = source.ids
    step = max(1, _BLOCK_BYTES // (4 * source.dim))
    shift = total = squares = np.zeros(source.dim)
    prints, zero = [], []
    counting = equal = np.arange(source.dim)  # dimensions that may count the rows, or equal the ids
    for start in range(0, len(ids), step):
        block = source.aligned(ids[start : start + step])
        shift = block.mean(0, dtype=np.float64) if start == 0 else shift
        centred = block - shift
        total, squares = total + centred.sum(0), squares + np.square(centred).sum(0)
        prints.append(_prints(block))
        zero.append(~block.any(1))
        counting = counting[_counts(block, counting, start)]
        equal = equal[_equals(block, equal, ids[start : start + step])]
    is_zero = np.concatenate(zero)
    hashes = np.concatenate(prints)
    copy = _repeated(hashes) & ~is_zero
    deviation = np.sqrt(np.maximum(squares / len(ids) - np.square(total / len(ids)), 0))
    huge, times = _huge(deviation)
    first = [None if not which.any() else str(ids[int(which.argmax())]) for which in (is_zero, copy)]
    return Health(len(ids), int(is_zero.sum()), first[0], int(copy.sum()), first[1], huge, times, int(hashes.sum()),
                  tuple(np.union1d(counting, equal).tolist()) if len(ids) > _FEW else ())  # fmt: skip


def _counts(block: Float32[Array, "n dim"], columns: Array, start: int) -> Array:
    """Which of these columns hold the row number, from 0 or from 1."""
    number = np.arange(start, start + len(block), dtype=np.float32)
    near = np.flatnonzero(np.isin(block[0, columns] - start, (0, 1)))
    return near[np.array([np.ptp(block[:, columns[place]] - number) == 0 for place in near], bool)]


def _equals(block: Float32[Array, "n dim"], columns: Array, ids: pl.Series) -> Array:
    """Which of these columns hold the ids as numbers."""
    numbers = ids.cast(pl.Float32, strict=False).to_numpy()
    near = np.flatnonzero(block[0, columns] == numbers[0])
    return near[np.array([np.array_equal(block[:, columns[place]], numbers) for place in near], bool)]


def _prints(block: Float32[Array, "n dim"]) -> UInt64[Array, "n"]:
    """Hash of the bits of each row; -0 counts as 0. Integer arithmetic gives equal rows equal hashes."""
    weights = np.random.default_rng(0).integers(2**62, 2**63, (block.shape[1],)).astype(np.uint64)
    bits = (block + np.float32(0)).view(np.uint32)
    hashes = np.zeros(len(block), np.uint64)
    for column in range(0, block.shape[1], 64):
        part = slice(column, column + 64)
        hashes += (bits[:, part].astype(np.uint64) * weights[part]).sum(1)
    return hashes


def _repeated(prints: UInt64[Array, "n"]) -> Array:
    """Mask of the hashes that occur more than once."""
    _, places, counts = np.unique(prints, return_inverse=True, return_counts=True)
    return np.asarray(counts[places] > 1)


def _huge(deviation: Array) -> tuple[tuple[int, ...], float]:
    """Dimensions of huge deviation, and the ratio of the largest deviation to the median."""
    varying = deviation[deviation > 0]
    if len(varying) < 3:
        return (), 1.0
    times = deviation / np.median(varying)
    return tuple(int(place) for place in np.flatnonzero(times > _HUGE)), float(times.max())
