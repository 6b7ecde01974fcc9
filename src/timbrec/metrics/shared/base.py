"""What every metric has in common: what it looks at, its k, and a label that is derived from both."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from timbrec.errors import ConfigError
from timbrec.types import Array, Bool, Float, Int


@dataclass(frozen=True, eq=False)
class Outcome:
    """Ranked lists and what was relevant: all that a metric may look at.

    Row u is a user. `items` (users, depth) item rows, best first, -1 where the candidates ran out; `hits` (users,
    depth) whether the item is relevant; `relevant`, `relevant_cold` and `candidates` (users,) how many of each the
    user has, candidates after seen items were left out, relevant at least 1. `cold` (items,) says which items are
    not in train, `popularity` (items,) the share of train items with fewer users (ties: half), `pool` how many
    items are candidates of anyone.
    """

    items: Int[Array, "users depth"]
    hits: Bool[Array, "users depth"]
    relevant: Int[Array, "users"]
    relevant_cold: Int[Array, "users"]
    candidates: Int[Array, "users"]
    cold: Bool[Array, "items"]
    popularity: Float[Array, "items"]
    pool: int

    @cached_property
    def depth(self) -> int:
        """The length of the lists; no metric may ask for a larger k."""
        return self.items.shape[1]

    @cached_property
    def hits_so_far(self) -> Int[Array, "users depth"]:
        """How many hits there are up to and including each place."""
        return np.cumsum(self.hits, axis=1, dtype=np.int32)


@dataclass(frozen=True)
class Metric(ABC):
    """A formula and its k together, so that no column can be computed at another k than its label says.

    `values` gives one number per user, NaN where it is undefined; the value of a run is the mean of the others.
    `gains` splits it over the places of the list, so that intervals can take items into account, and `chance` is the
    exact expectation of `values` when a user's candidates are ranked uniformly at random; both None where they do
    not apply.
    """

    k: int
    name: ClassVar[str]

    def __post_init__(self) -> None:
        if self.k < 1:
            raise ConfigError(f"{self.label}: k must be at least 1")

    @property
    def label(self) -> str:
        """Name and k, e.g. "ndcg@50"."""
        return f"{self.name}@{self.k}"

    @abstractmethod
    def values(self, outcome: Outcome) -> Float[Array, "users"]:
        """The metric of every user, from the first k places of the list."""

    def gains(self, outcome: Outcome) -> Float[Array, "users k"] | None:
        """What each place adds to a user's value; zero for places without a hit."""
        return None

    def chance(self, outcome: Outcome) -> Float[Array, "users"] | None:
        """The expectation of `values` under a uniformly random order of each user's candidates."""
        return None

    def value(self, outcome: Outcome) -> float:
        """The mean over users; NaN when there are none."""
        return mean(self.values(outcome))

    def items(self, outcome: Outcome) -> Int[Array, "users k"]:
        """The first k places of the lists. Raises ConfigError for lists that are shorter."""
        self._check(outcome)
        return outcome.items[:, : self.k]

    def hits(self, outcome: Outcome) -> Bool[Array, "users k"]:
        """Which of the first k places are hits. Raises ConfigError for lists that are shorter."""
        self._check(outcome)
        return outcome.hits[:, : self.k]

    def _check(self, outcome: Outcome) -> None:
        if outcome.depth < self.k:
            raise ConfigError(f"{self.label} needs lists of {self.k} items", example=outcome.depth, fix="Rank deeper.")


@dataclass(frozen=True)
class GainMetric(Metric):
    """A metric that is a sum over the hits of a list."""

    @abstractmethod
    def gains(self, outcome: Outcome) -> Float[Array, "users k"]:
        """What each place adds to a user's value; zero for places without a hit."""

    def values(self, outcome: Outcome) -> Float[Array, "users"]:
        """The sum of each user's gains, in [0, 1]."""
        return self.gains(outcome).sum(1)


def mean(values: Float[Array, "n"]) -> float:
    """The mean of the defined values; NaN, without a warning, when there are none."""
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else float("nan")


def discounts(k: int) -> Float[Array, "k"]:
    """1 / log2(rank + 1) for the ranks 1 to k (Järvelin & Kekäläinen 2002)."""
    return np.asarray(1 / np.log2(np.arange(2, k + 2)))


def ideal_dcg(relevant: Int[Array, "users"], k: int) -> Float[Array, "users"]:
    """The DCG of a list that starts with min(k, relevant) hits."""
    return np.asarray(np.cumsum(discounts(k))[np.minimum(relevant, k) - 1])


def reached(outcome: Outcome, k: int) -> Int[Array, "users"]:
    """How many of the first k places can be filled: min(k, candidates)."""
    return np.minimum(outcome.candidates, k)
