"""Variances and covariances of the values of several lines, over users, items and seeds.

The variance of a contrast (a weighted sum of lines) over users and items is CU + CT - PP: the variance over users,
plus the jackknife variance over candidates, minus the part of single (user, item) pairs, which is in both (two-way
clustering: Cameron, Gelbach & Miller 2011). It is never less than CU alone. Where candidates are drawn in clusters
(artists) it is not less than CT either: removing the tracks of an artist one by one misses that they replace each
other, and PP is then too large. The variance over seeds is added last.
Degrees of freedom are Satterthwaite's (1946), with the variance of each variance estimated from fourth moments, and not
below LEAST: where one item has most of the influence, it is in the contrast as well as in its standard error, so their
ratio is small by itself (Efron 1969), and next to no degrees of freedom would count the item twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np

from timbrec.statistics.influence import Influence, Pairs
from timbrec.types import Array, Float, Int

CHUNK = 256  # contrasts in memory at a time, with their influences
LEAST = 8.0  # degrees of freedom over users and items, unless the test has fewer effective items
PAIRS = 8192  # pairs of items and users in memory at a time, with their influences


class Errors(NamedTuple):
    """Standard errors and degrees of freedom of contrasts; both (contrasts,)."""

    standard: Float[Array, "contrasts"]
    degrees: Float[Array, "contrasts"]


class Parts(NamedTuple):
    """The variance of a contrast over users, items and seeds; their sum is the variance unless a lower limit holds."""

    users: float
    items: float
    seeds: float


@dataclass(frozen=True, eq=False)
class Spread:
    """Influences of users and items on each line, and the variance of each line over its seeds.

    `pairs` (lines, lines) is PP. `seeds` is the variance of the mean over seeds, 0 where it is unknown. Lines with the
    same number in `groups` share its estimate, which has `seed_degrees` (groups,). `most_degrees` bounds the degrees of
    freedom over users and items: the smaller number of users and effective items, less 1. `clustered` says that the
    influences of items are sums over clusters; the variance over clusters is then a lower limit as well.
    """

    users: Float[Array, "users lines"]
    items: Float[Array, "clusters lines"]
    pairs: Float[Array, "lines lines"]
    seeds: Float[Array, "lines"]
    groups: Int[Array, "lines"]
    seed_degrees: Float[Array, "groups"]
    most_degrees: float
    clustered: bool = False

    @classmethod
    def of(cls, influences: Sequence[Influence], groups: Int[Array, "lines"]) -> Spread:
        """The spread of lines that share users and candidates; over users and seeds alone if a line has no items."""
        users = np.stack([line.users for line in influences], 1)
        seeds, seed_degrees = _over_seeds(influences, groups)
        items = [line.items for line in influences if line.items is not None]
        pairs = [line.pairs for line in influences if line.pairs is not None]
        m, most = len(influences), max(len(users) - 1.0, 1.0)
        if len(items) < m:
            return cls(users, np.zeros((0, m)), np.zeros((m, m)), seeds, groups, seed_degrees, most)
        products = _products(pairs, len(items[0]) * len(users))
        most = max(min(most, influences[0].effective_items - 1.0), 1.0)
        clustered = any(line.clustered for line in influences)
        return cls(users, np.stack(items, 1), products, seeds, groups, seed_degrees, most, clustered)

    def among(self, lines: Sequence[int]) -> Spread:
        """The spread of some of the lines."""
        index = np.asarray(lines, np.int64)
        columns = {name: getattr(self, name)[:, index] for name in ("users", "items")}
        return replace(
            self, **columns, pairs=self.pairs[np.ix_(index, index)], seeds=self.seeds[index],
            groups=self.groups[index],
        )  # fmt: skip

    def errors(self, contrasts: Float[Array, "contrasts lines"]) -> Errors:
        """The standard error and degrees of freedom of each contrast."""
        parts = [self._errors(contrasts[chunk]) for chunk in chunks(len(contrasts))]
        return Errors(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))

    def _errors(self, contrasts: Float[Array, "contrasts lines"]) -> Errors:
        n = len(self.users)
        over_users, user_degrees = _moments(self.users @ contrasts.T)
        over_items, item_degrees = _moments(self.items @ contrasts.T)
        over_users *= n / max(n - 1, 1)
        over_pairs = ((contrasts @ self.pairs) * contrasts).sum(1)
        least = np.maximum(over_users, over_items) if self.clustered else over_users
        crossed = np.maximum(over_users + over_items - over_pairs, least)
        over_seeds = contrasts**2 * self.seeds
        variance = crossed + over_seeds.sum(1)
        degrees = _ratio(
            crossed**2,
            over_users**2 / user_degrees + over_items**2 / item_degrees,
            self.most_degrees,
        )
        degrees = degrees.clip(min(LEAST, self.most_degrees), self.most_degrees)
        uncertainty = crossed**2 / degrees + ((over_seeds @ self._membership) ** 2 / self.seed_degrees).sum(1)
        return Errors(np.sqrt(variance), np.maximum(_ratio(variance**2, uncertainty, self.most_degrees), 1.0))

    def parts(self, contrast: Float[Array, "lines"]) -> Parts:
        """The variance of a contrast, split into parts that fall with more users, more items and more seeds."""
        n = len(self.users)
        over_users = float(((self.users @ contrast) ** 2).sum()) * n / max(n - 1, 1)
        over_items = float(((self.items @ contrast) ** 2).sum()) - float(contrast @ self.pairs @ contrast)
        return Parts(over_users, max(over_items, 0.0), float((contrast**2 * self.seeds).sum()))

    @cached_property
    def _membership(self) -> Float[Array, "lines groups"]:
        return np.eye(len(self.seed_degrees))[self.groups]

    @cached_property
    def covariance(self) -> Float[Array, "lines lines"]:
        """The covariance matrix of the lines' values: the nearest positive semidefinite one."""
        n = len(self.users)
        crossed = self.users.T @ self.users * n / max(n - 1, 1) + self.items.T @ self.items - self.pairs
        sizes, directions = np.linalg.eigh((crossed + crossed.T) / 2)
        return np.asarray((directions * sizes.clip(min=0)) @ directions.T + np.diag(self.seeds))


def _over_seeds(
    influences: Sequence[Influence], groups: Int[Array, "lines"]
) -> tuple[Float[Array, "lines"], Float[Array, "groups"]]:
    """The variance of each line's mean over its seeds, pooled within groups, and its degrees of freedom."""
    counts = np.array([len(line.of_seeds) for line in influences])
    squares = np.array([((line.of_seeds - line.of_seeds.mean()) ** 2).sum() for line in influences])
    degrees = np.bincount(groups, weights=counts - 1)
    pooled = np.bincount(groups, weights=squares) / np.maximum(degrees, 1)
    return pooled[groups] / counts, np.maximum(degrees, 1.0)


def chunks(contrasts: int) -> Iterator[slice]:
    """Slices of at most CHUNK contrasts; at least one, which may be empty."""
    for start in range(0, max(contrasts, 1), CHUNK):
        yield slice(start, start + CHUNK)


def _moments(influences: Float[Array, "n contrasts"]) -> tuple[Float[Array, "contrasts"], Float[Array, "contrasts"]]:
    """Sums of squares, and their degrees of freedom: 2 mean² / variance of the sum, between 1 and n - 1."""
    n = len(influences)
    squares = influences**2
    total = squares.sum(0)
    excess = (squares**2).sum(0) - total**2 / max(n, 1)
    most = float(max(n - 1, 1))
    return total, _ratio(2 * total**2, excess, most).clip(1.0, most)


def _ratio(above: Float[Array, "n"], below: Float[Array, "n"], otherwise: float) -> Float[Array, "n"]:
    """above / below; `otherwise` where `below` is not above 0."""
    return np.divide(above, below, out=np.full(len(above), otherwise), where=below > 0)


def _products(pairs: Sequence[Pairs], size: int) -> Float[Array, "lines lines"]:
    """PP: sums over (item, user) pairs of the products of two lines' influences, less their mean; scaled to all users.

    `size` is the number of clusters times the number of users.
    """
    from scipy.sparse import csr_array

    m = len(pairs)
    sampled = 1 + max((int(line.users.max(initial=0)) for line in pairs), default=0)
    keys = np.concatenate([line.items.astype(np.int64) * sampled + line.users for line in pairs])
    columns = np.unique(keys, return_inverse=True)[1]
    starts = np.concatenate([[0], np.cumsum([len(line.users) for line in pairs])])
    width = int(columns.max(initial=0)) + 1
    table = csr_array((np.concatenate([line.influence for line in pairs]), columns, starts), shape=(m, width)).tocsc()
    products = np.zeros((m, m))
    for start in range(0, width, PAIRS):  # dense blocks: a product of sparse matrices takes about ten times as long
        block = table[:, start : start + PAIRS].toarray()
        products += block @ block.T
    mean = np.asarray(table.sum(1)) * pairs[0].scale / size
    return np.asarray(products * pairs[0].scale - size * np.outer(mean, mean))


def all_pairs(lines: int) -> tuple[Int[Array, "pairs"], Int[Array, "pairs"]]:
    """The pairs (first, second) of lines, first < second."""
    return np.triu_indices(lines, 1)
