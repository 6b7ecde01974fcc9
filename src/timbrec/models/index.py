"""The vectors that a model searches, with numpy alone: PyTorch takes longer to import than any search."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from timbrec.models.sketch import ROUNDING, Sketch, SketchLater
from timbrec.types import Array, Float32, Int

_ROWS = 32  # rows are scored in multiples of it, so that a BLAS returns the same bits wherever a row stands
_LARGEST = 31 << 20  # bytes of a block that glibc still counts


@dataclass(frozen=True, eq=False)
class Index:
    """The vectors a model searches: score = inner product of a user's and an item's vector.

    `users` (users, dim) and `items` (items, dim) may be mapped files; `added` (m, dim) are the vectors of items that
    came later, after `items`. All are float32. `norms` (items,) are the lengths of `items`; `sketched` returns their
    sketch, or None while scans are cheaper.
    """

    users: Float32[Array, "users dim"]
    items: Float32[Array, "items dim"]
    added: Float32[Array, "m dim"]
    norms: Float32[Array, "items"]
    sketched: SketchLater

    @classmethod
    def of(
        cls,
        users: Float32[Array, "users dim"],
        items: Float32[Array, "items dim"],
        norms: Float32[Array, "items"] | None = None,
        sketch: Sketch | None = None,
    ) -> Index:
        """The index of these vectors; lengths of the items that are not given are computed, the sketch later."""
        norms = np.linalg.norm(items, axis=1) if norms is None else norms
        return cls(users, items, np.empty((0, items.shape[1]), np.float32), norms, SketchLater(items, norms, sketch))

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Index:
        """The index from the result of `arrays` of another index."""
        _keep_freed_memory()
        sketch = Sketch(arrays["basis"], arrays["sketch"]) if "sketch" in arrays else None
        return cls.of(arrays["users"], arrays["items"], arrays["norms"], sketch)

    def arrays(self) -> dict[str, np.ndarray]:
        """The vectors, lengths and sketch by name, for a file; added items are among the others."""
        whole = self if not len(self.added) else Index.of(self.users, self.vectors(np.arange(len(self))), self.lengths)
        sketch = whole.sketched.to_store()
        arrays = {"users": whole.users, "items": whole.items, "norms": whole.norms}
        return arrays if sketch is None else arrays | {"basis": sketch.basis, "sketch": sketch.table}

    def __len__(self) -> int:
        return len(self.items) + len(self.added)

    def plus(self, added: Float32[Array, "m dim"]) -> Index:
        """The index with the vectors of further items."""
        return replace(self, added=np.concatenate([self.added, added]))

    def scores(self, vector: Float32[Array, "dim *n"]) -> Float32[Array, "items *n"]:
        """(items, ...) inner products of all items with a vector (dim,), or with the columns of (dim, n)."""
        return np.concatenate([self.items @ vector, self.added @ vector])

    def scores_of(self, rows: Int[Array, "n"], vector: Float32[Array, "dim"]) -> Float32[Array, "n"]:
        """(n,) inner products of these items with a vector; equal for equal items."""
        return np.asarray(self.padded(rows) @ vector)[: len(rows)]

    def padded(self, rows: Int[Array, "n"]) -> Float32[Array, "m dim"]:
        """(m, dim) the vectors of these items, then others: products of so many are equal for equal items."""
        padded = np.zeros(-(-len(rows) // _ROWS) * _ROWS, np.int64)
        padded[: len(rows)] = rows
        return self.vectors(padded)

    def bounds(self, sketch: Sketch, vectors: Float32[Array, "n dim"]) -> Float32[Array, "n items"]:
        """(n, items) numbers that no inner product of a vector and an item exceeds."""
        bounds = sketch.bounds(vectors)
        return bounds if not len(self.added) else np.concatenate([bounds, _close(vectors, self.added)], axis=1)

    def close_bounds(self, vectors: Float32[Array, "n dim"]) -> Float32[Array, "n items"]:
        """(n, items) `bounds` that exceed the inner products by rounding errors alone; reads all items."""
        return np.concatenate([_close(vectors, self.items, self.norms), _close(vectors, self.added)], axis=1)

    def vectors(self, rows: Int[Array, "n"]) -> Float32[Array, "n dim"]:
        """(n, dim) the vectors of these items."""
        if not len(self.added):
            return np.asarray(self.items[rows])
        out = np.empty((len(rows), self.items.shape[1]), np.float32)
        old = rows < len(self.items)
        out[old] = self.items[rows[old]]
        out[~old] = self.added[rows[~old] - len(self.items)]
        return out

    def directions(self, rows: Int[Array, "n"]) -> Float32[Array, "n dim"]:
        """(n, dim) the vectors of these items divided by their lengths; zero vectors stay zero."""
        vectors = self.vectors(rows)
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        return np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)

    @cached_property
    def lengths(self) -> Float32[Array, "items"]:
        """(items,) the lengths of all items' vectors."""
        return np.concatenate([self.norms, np.linalg.norm(self.added, axis=1)])

    @cached_property
    def divisors(self) -> Float32[Array, "items"]:
        """(items,) the lengths, or 1 for zero vectors: inner products over these are cosines, 0 for zero vectors."""
        return np.where(self.lengths > 0, self.lengths, np.float32(1))


def _close(
    vectors: Float32[Array, "n dim"], items: Float32[Array, "items dim"], norms: Float32[Array, "items"] | None = None
) -> Float32[Array, "n items"]:
    """(n, items) the inner products, with an allowance for rounding; `norms` are the lengths of the items, if known."""
    norms = np.linalg.norm(items, axis=1) if norms is None else norms
    lengths = np.linalg.norm(vectors, axis=1)
    return (items @ vectors.T).T + ROUNDING * lengths[:, None] * norms


def _keep_freed_memory() -> None:
    """Let the C library keep the memory of a search for the next search, which would else fetch new pages.

    glibc gives freed memory back to the system only above twice the largest block that was freed so far. This block is
    never written to, and takes no time.
    """
    np.empty(_LARGEST, np.uint8)
