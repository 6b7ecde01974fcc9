"""Exact search among item vectors: by scanning all of them, or by bounds that leave few to be scored."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from timbrec.errors import DataError
from timbrec.models.index import Index
from timbrec.types import Array, Bool, Float32, Int

NOTHING = np.float32("-inf")
_SHORTLIST = 64  # items scored to find how high the bound of a listed item is at least
_MOST = 1 / 8  # share of the items above which scoring all of them is faster
_FEW = 1 / 64  # share above which a shortlist of this ranking's own is worth its search
_SAMPLED = 8  # one in so many bounds is read to find how high the highest are
_NONE = np.empty(0, np.int64)


@dataclass(frozen=True, eq=False)
class Limits:
    """Limits on a list: at most `most` items of the same number in `groups` (items,), for each pair of these.

    Items with the group -1 are not limited. `taken` are groups that may not be used any more, e.g. of played tracks.
    """

    groups: Int[Array, "items"]
    most: int
    taken: frozenset[int] = frozenset()


@runtime_checkable
class Ranking(Protocol):
    """A ranking of items that is read from the top; `usable` is the number of items in it."""

    usable: int

    def top(self, depth: int) -> tuple[Int[Array, "n"], Float32[Array, "n"]]:
        """The rows and scores of the `depth` best items, best first."""


class Scanned:
    """The ranking of the `allowed` items by `scores` (items,); equal scores in the order of `ties`.

    Raises DataError for scores that are not numbers. Items with a score of minus infinity are left out.
    """

    def __init__(
        self, scores: Float32[Array, "items"], allowed: Bool[Array, "items"], ties: Int[Array, "items"]
    ) -> None:
        if np.isnan(scores).any():
            raise DataError("scores are not numbers (NaN)", fix="Check the vectors and the recommender's settings.")
        self._masked, self._ties = np.array(scores), ties
        np.copyto(self._masked, NOTHING, where=~allowed)  # `where` takes ten times as long
        self.usable = int(np.count_nonzero(self._masked > NOTHING))

    def top(self, depth: int) -> tuple[Int[Array, "n"], Float32[Array, "n"]]:
        """The rows and scores of the `depth` best items, best first."""
        if not depth:
            return np.empty(0, np.int64), np.empty(0, np.float32)
        rows = _highest(self._masked, depth)
        return _ordered(rows, self._masked[rows], self._ties, depth)


class Bounded:
    """The ranking of `Scanned` for the inner products with a vector, of which most items' are only bounded.

    `bounds` (items,) exceed the inner products, or equal them. With `cosine`, both are divided by the items' lengths.
    `shortlist` are rows of items that are probably near, such as the best of a similar ranking; reading the ranking
    replaces them by its own. `scanned` says whether the bounds left so many items that all were scored.
    """

    def __init__(
        self,
        index: Index,
        vector: Float32[Array, "dim"],
        bounds: Float32[Array, "items"],
        allowed: Bool[Array, "items"],
        ties: Int[Array, "items"],
        cosine: bool,
        shortlist: Int[Array, "m"] = _NONE,
    ) -> None:
        self._index, self._vector, self._bounds, self._ties, self._cosine = index, vector, bounds, ties, cosine
        self._allowed, self.usable, self.shortlist = allowed, int(np.count_nonzero(allowed)), shortlist
        self.scanned = False

    def top(self, depth: int) -> tuple[Int[Array, "n"], Float32[Array, "n"]]:
        """The rows and scores of the `depth` best items, best first."""
        if not depth:
            return np.empty(0, np.int64), np.empty(0, np.float32)
        rows = self._near(self.shortlist[self._allowed[self.shortlist]], depth)
        if rows is None or len(rows) > _FEW * len(self._bounds):
            np.copyto(self._bounds, NOTHING, where=~self._allowed)
            rows = self._near(_high(self._bounds, min(max(_SHORTLIST, 2 * depth), self.usable), depth), depth)
        if rows is None or len(rows) > _MOST * len(self._bounds):
            self.scanned = True
            return Scanned(self._scores(), self._allowed, self._ties).top(depth)
        self.shortlist = rows
        return _ordered(rows, self._scores(rows), self._ties, depth)

    def _near(self, shortlist: Int[Array, "m"], depth: int) -> Int[Array, "n"] | None:
        """The allowed rows whose bounds reach the `depth`-th best score of a shortlist; None if too short or long."""
        if not depth <= len(shortlist) <= _MOST * len(self._bounds):
            return None
        scores = self._scores(shortlist)
        rows = np.flatnonzero(self._bounds >= np.partition(scores, len(scores) - depth)[len(scores) - depth])
        return rows[self._allowed[rows]]

    def _scores(self, rows: Int[Array, "n"] | None = None) -> Float32[Array, "n"]:
        """The scores of these rows, or of all."""
        scores = self._index.scores(self._vector) if rows is None else self._index.scores_of(rows, self._vector)
        divisors = self._index.divisors if rows is None else self._index.divisors[rows]
        return scores / divisors if self._cosine else scores


class Search:
    """A search for the items nearest to some vectors (n, dim), by inner products or, with `cosine`, by cosines."""

    def __init__(self, index: Index, vectors: Float32[Array, "n dim"], *, cosine: bool = False) -> None:
        self._index, self._vectors, self._cosine = index, vectors, cosine
        self._sketch = index.sketched() if np.isfinite(vectors).all() else None
        values = index.scores(vectors.T).T if self._sketch is None else index.bounds(self._sketch, vectors)
        self._values, self._close = self._divided(values), False
        self._last: Bounded | None = None

    def ranking(
        self, weights: Float32[Array, "n"], allowed: Bool[Array, "items"], ties: Int[Array, "items"]
    ) -> Ranking:
        """The ranking of the allowed items for a sum of the vectors; `weights` are at least 0.

        Equal scores are in the order of `ties`. A ranking starts from the best rows of the one before it; once bounds
        left too many items, all are scored once for all later rankings.
        """
        if self._last is not None and self._last.scanned and not self._close:
            self._values, self._close = self._divided(self._index.close_bounds(self._vectors)), True
        single = len(weights) == 1  # then multiplying takes a fifth of the product of matrices, with the same bits
        values = weights[0] * self._values[0] if single else weights @ self._values
        if self._sketch is None:
            return Scanned(values, allowed, ties)
        shortlist = _NONE if self._last is None else self._last.shortlist
        vector = weights @ self._vectors
        self._last = Bounded(self._index, vector, values, allowed, ties, self._cosine, shortlist)
        return self._last

    def _divided(self, values: Float32[Array, "n items"]) -> Float32[Array, "n items"]:
        """The values, divided by the items' lengths for cosines; in place: new pages take longer than the division."""
        if self._cosine:
            values /= self._index.divisors
        return values


def best(ranking: Ranking, k: int, limits: Sequence[Limits] = ()) -> tuple[Int[Array, "n"], Float32[Array, "n"]]:
    """The rows and scores of the first `k` items of a ranking within limits; fewer where there are fewer."""
    depth = min(max(4 * k, 8) if limits else k, ranking.usable)
    while True:
        rows, scores = ranking.top(depth)
        places = _within(rows, k, limits)
        if len(places) == k or depth == ranking.usable:
            return rows[places], scores[places]
        depth = min(8 * depth, ranking.usable)


def _highest(values: Float32[Array, "items"], count: int) -> Int[Array, "n"]:
    """The rows of the `count` highest values, and of all values equal to the last of them."""
    place = len(values) - count
    return np.flatnonzero(values >= np.partition(values, place)[place])


def _high(values: Float32[Array, "items"], count: int, least: int) -> Int[Array, "n"]:
    """The rows of about the `count` highest values, judged by a sample; of at least `least` of them."""
    sample = values[::_SAMPLED]
    place = len(sample) - max(count // _SAMPLED, 1)
    rows = np.flatnonzero(values >= np.partition(sample, place)[place])
    return rows if least <= len(rows) <= min(2 * count, _MOST * len(values)) else _highest(values, count)


def _ordered(
    rows: Int[Array, "n"], scores: Float32[Array, "n"], ties: Int[Array, "items"], depth: int
) -> tuple[Int[Array, "m"], Float32[Array, "m"]]:
    order = np.lexsort((ties[rows], -scores))[:depth]
    return rows[order], scores[order]


def _within(rows: Int[Array, "n"], k: int, limits: Sequence[Limits]) -> Int[Array, "m"]:
    """The places of the first `k` of these rows that keep all limits."""
    return np.array(list(_kept(rows, limits, k)), np.int64) if limits else np.arange(min(k, len(rows)))


def _kept(rows: Int[Array, "n"], limits: Sequence[Limits], k: int) -> Iterator[int]:
    counts: list[dict[int, int]] = [dict.fromkeys(limit.taken, limit.most) for limit in limits]
    numbers = [limit.groups[rows].tolist() for limit in limits]
    left = k
    for place in range(len(rows)):
        groups = [number[place] for number in numbers]
        if all(
            group < 0 or count.get(group, 0) < limit.most
            for count, group, limit in zip(counts, groups, limits, strict=True)
        ):
            for count, group in zip(counts, groups, strict=True):
                count[group] = count.get(group, 0) + 1
            yield place
            left -= 1
            if not left:
                return
