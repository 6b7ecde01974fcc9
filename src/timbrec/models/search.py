"""Exact search among item vectors, with numpy alone: PyTorch takes longer to import than any search."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from timbrec.errors import DataError
from timbrec.types import Array, Bool, Float32, Int

NOTHING = np.float32("-inf")


@dataclass(frozen=True, eq=False)
class Index:
    """The vectors a model searches: score = inner product of a user's and an item's vector.

    `users` (users, dim) and `items` (items, dim) may be mapped files; `added` (m, dim) are the vectors of items that
    came later, after `items`. All are float32. `norms` (items,) are the lengths of `items`.
    """

    users: Float32[Array, "users dim"]
    items: Float32[Array, "items dim"]
    added: Float32[Array, "m dim"]
    norms: Float32[Array, "items"]

    @classmethod
    def of(cls, users: Float32[Array, "users dim"], items: Float32[Array, "items dim"]) -> Index:
        """The index of these vectors."""
        return cls(users, items, np.empty((0, items.shape[1]), np.float32), np.linalg.norm(items, axis=1))

    def __len__(self) -> int:
        return len(self.items) + len(self.added)

    def plus(self, added: Float32[Array, "m dim"]) -> Index:
        """The index with the vectors of further items."""
        return replace(self, added=np.concatenate([self.added, added]))

    def scores(self, vector: Float32[Array, "dim *n"]) -> Float32[Array, "items *n"]:
        """(items, ...) inner products of all items with a vector (dim,), or with the columns of (dim, n)."""
        return np.concatenate([self.items @ vector, self.added @ vector])

    def vectors(self, rows: Int[Array, "n"]) -> Float32[Array, "n dim"]:
        """(n, dim) the vectors of these items."""
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

    def cosines(self, direction: Float32[Array, "dim"]) -> Float32[Array, "items"]:
        """(items,) cosines of all items with a vector of length 1; 0 for zero vectors."""
        lengths = self.lengths
        return np.divide(self.scores(direction), lengths, out=np.zeros_like(lengths), where=lengths > 0)

    @cached_property
    def lengths(self) -> Float32[Array, "items"]:
        """(items,) the lengths of all items' vectors."""
        return np.concatenate([self.norms, np.linalg.norm(self.added, axis=1)])


@dataclass(frozen=True, eq=False)
class Limits:
    """Limits on a list: at most `most` items of the same number in `groups` (items,), for each pair of these.

    Items with the group -1 are not limited. `taken` are groups that may not be used any more, e.g. of played tracks.
    """

    groups: Int[Array, "items"]
    most: int
    taken: frozenset[int] = frozenset()


def best(
    scores: Float32[Array, "items"],
    allowed: Bool[Array, "items"],
    ties: Int[Array, "items"],
    k: int,
    limits: Sequence[Limits] = (),
) -> Int[Array, "n"]:
    """The rows of the `k` highest scores among `allowed` items, best first; equal scores in the order of `ties`.

    Fewer rows are returned if there are fewer items within the limits.
    """
    if np.isnan(scores).any():
        raise DataError("scores are not numbers (NaN)", fix="Check the vectors and the recommender's settings.")
    masked = np.where(allowed, scores, NOTHING)
    usable = int(np.count_nonzero(masked > NOTHING))
    depth = min(max(4 * k, 64) if limits else k, usable)
    while True:
        rows = _top(masked, ties, depth)
        chosen = _within(rows, k, limits)
        if len(chosen) == k or depth == usable:
            return chosen
        depth = min(8 * depth, usable)


def _top(masked: Float32[Array, "items"], ties: Int[Array, "items"], depth: int) -> Int[Array, "n"]:
    if not depth:
        return np.empty(0, np.int64)
    threshold = np.partition(masked, len(masked) - depth)[len(masked) - depth]
    rows = np.flatnonzero(masked >= threshold)
    return rows[np.lexsort((ties[rows], -masked[rows]))[:depth]]


def _within(rows: Int[Array, "n"], k: int, limits: Sequence[Limits]) -> Int[Array, "m"]:
    """The first `k` of these rows that keep all limits."""
    if not limits:
        return rows[:k]
    chosen = list(_kept(rows, limits, k))
    return np.array(chosen, np.int64)


def _kept(rows: Int[Array, "n"], limits: Sequence[Limits], k: int) -> Iterator[int]:
    counts: list[dict[int, int]] = [dict.fromkeys(limit.taken, limit.most) for limit in limits]
    numbers = [limit.groups[rows].tolist() for limit in limits]
    left = k
    for place, row in enumerate(rows.tolist()):
        groups = [number[place] for number in numbers]
        if all(
            group < 0 or count.get(group, 0) < limit.most
            for count, group, limit in zip(counts, groups, limits, strict=True)
        ):
            for count, group in zip(counts, groups, strict=True):
                count[group] = count.get(group, 0) + 1
            yield row
            left -= 1
            if not left:
                return
