"""Bounds of scores from a few directions, which leave few items to be scored in full."""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock

import numpy as np

from timbrec.types import Array, Float32

DIRECTIONS = 40
LEAST = 16_384  # with fewer items, a scan takes as long
SCANS = 10  # searches before a sketch pays: it costs about as much
ROUNDING = np.float32(1e-5)  # of the product of two lengths, far above the rounding errors of float32
_SAMPLE = 8_192
_BLOCK = 8_192  # items of which a sketch is computed at once
_TILE = 4_096  # items whose bounds are computed at once: so few that a BLAS need not copy them first


@dataclass(frozen=True, eq=False)
class Sketch:
    """Items by their coordinates along the strongest directions, and the lengths of the remainders.

    `basis` (dim, m) holds the m first principal directions (not centred) of a sample of the items. `table`
    (m + 2, items) holds the coordinates, then the lengths of the remainders, then an allowance for rounding.
    """

    basis: Float32[Array, "dim m"]
    table: Float32[Array, "_ items"]

    @classmethod
    def of(cls, items: Float32[Array, "items dim"], directions: int = DIRECTIONS) -> Sketch:
        """The sketch of these vectors, read in blocks."""
        sample = np.asarray(items[:: max(1, len(items) // _SAMPLE)])
        basis = np.ascontiguousarray(np.linalg.eigh(sample.T @ sample)[1][:, -directions:], np.float32)
        table = np.empty((basis.shape[1] + 2, len(items)), np.float32)
        for start in range(0, len(items), _BLOCK):
            block = np.asarray(items[start : start + _BLOCK])
            stop = start + len(block)
            heads = block @ basis
            table[:-2, start:stop] = heads.T
            table[-2, start:stop] = np.linalg.norm(block - heads @ basis.T, axis=1)
            table[-1, start:stop] = np.linalg.norm(block, axis=1) * ROUNDING
        return cls(basis, table)

    def bounds(self, vectors: Float32[Array, "n dim"]) -> Float32[Array, "n items"]:
        """(n, items) numbers that no inner product of a vector and an item exceeds (Cauchy and Schwarz)."""
        heads = vectors @ self.basis
        rests = np.linalg.norm(vectors - heads @ self.basis.T, axis=1)
        weights = np.column_stack([heads, rests, np.linalg.norm(vectors, axis=1)]).astype(np.float32)
        out = np.empty((len(vectors), self.table.shape[1]), np.float32)
        for start in range(0, out.shape[1], _TILE):
            tile = slice(start, start + _TILE)
            np.matmul(weights, self.table[:, tile], out=out[:, tile])
        return out


class SketchLater:
    """The sketch of some items: one that was stored, or made once so many searches have scanned them that it pays."""

    def __init__(
        self, items: Float32[Array, "items dim"], norms: Float32[Array, "items"], stored: Sketch | None = None
    ) -> None:
        self._items, self._norms, self._lock = items, norms, Lock()
        self._searches = 0
        self._sketch = stored

    def __call__(self) -> Sketch | None:
        """The sketch for one more search; None where scans are cheaper, and for vectors that are not finite."""
        with self._lock:
            self._searches += 1
            return self._made() if self._searches == SCANS + 1 else self._sketch

    def to_store(self) -> Sketch | None:
        """The sketch that belongs into a file beside the items; None where scans are as fast."""
        with self._lock:
            return self._made()

    def _made(self) -> Sketch | None:
        if self._sketch is None and self._pays:
            self._sketch = Sketch.of(self._items)
        return self._sketch

    @property
    def _pays(self) -> bool:
        return len(self._items) >= LEAST and self._items.shape[1] > DIRECTIONS and bool(np.isfinite(self._norms).all())
