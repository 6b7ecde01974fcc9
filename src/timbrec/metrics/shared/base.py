"""Base classes of metrics, and the `Outcome` that a metric reads."""

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
    """Ranked lists with their hits: everything that a metric reads. Row u of each array is a user.

    `items` (users, depth): item rows, best first; -1 where the user has fewer candidates.
    `hits` (users, depth): whether the listed item is relevant.
    `relevant`, `relevant_cold` (users,): number of relevant items (at least 1), and of cold items among them.
    `candidates` (users,): number of candidates without the items the user has in train.
    `cold` (items,): whether an item is missing from train.
    `popularity` (items,): share of train items with fewer users, ties counted half.
    `pool`: number of candidates of all users together.
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
        """Length of the lists."""
        return self.items.shape[1]

    @cached_property
    def hits_so_far(self) -> Int[Array, "users depth"]:
        """Number of hits up to and including each place."""
        return np.cumsum(self.hits, axis=1, dtype=np.int32)


@dataclass(frozen=True)
class Metric(ABC):
    """A formula together with its k, so that a label always names the k of its figure.

    `values` returns one number per user, NaN where the metric is undefined; the value of a run is the mean of the
    defined ones. `gains` splits each user's value over the places of the list. `chance` is the exact expectation of
    `values` when each user's candidates are ranked uniformly at random. `gains` and `chance` are None for metrics
    without one. `summary` describes the metric in one line for lists.
    """

    k: int
    name: ClassVar[str]
    summary: ClassVar[str]

    def __post_init__(self) -> None:
        if self.k < 1:
            raise ConfigError(f"{self.label}: k must be at least 1")

    @property
    def label(self) -> str:
        """The name and k, e.g. "ndcg@50"."""
        return f"{self.name}@{self.k}"

    @abstractmethod
    def values(self, outcome: Outcome) -> Float[Array, "users"]:
        """Value of each user, from the first k places of the list; NaN where undefined."""

    def gains(self, outcome: Outcome) -> Float[Array, "users k"] | None:
        """Contribution of each place to the user's value, 0 at places without a hit; None by default."""
        return None

    def chance(self, outcome: Outcome) -> Float[Array, "users"] | None:
        """Expectation of `values` under a uniformly random order of each user's candidates; None by default."""
        return None

    def value(self, outcome: Outcome) -> float:
        """Mean over the users with a defined value; NaN without any."""
        return mean(self.values(outcome))

    def items(self, outcome: Outcome) -> Int[Array, "users k"]:
        """Items in the first k places, or in all places where k exceeds the number of candidates.

        Raises ConfigError when the lists are shorter than that.
        """
        self._check(outcome)
        return outcome.items[:, : self.k]

    def hits(self, outcome: Outcome) -> Bool[Array, "users k"]:
        """Hits in the first k places; places and errors as in `items`."""
        self._check(outcome)
        return outcome.hits[:, : self.k]

    def _check(self, outcome: Outcome) -> None:
        if outcome.depth < min(self.k, outcome.pool):
            raise ConfigError(f"{self.label} needs lists of {self.k} items", example=outcome.depth, fix="Rank deeper.")


@dataclass(frozen=True)
class GainMetric(Metric):
    """A metric that is a sum over a user's hits of `weights(rank, ordinal)`, divided by `norm(R)`.

    A hit has a rank (1 is best) and an ordinal (1 for the user's first hit); R is the user's number of relevant items.
    These two functions also give the value after a candidate is removed, which intervals over items need.
    """

    @abstractmethod
    def weights(self, ranks: Int[Array, "*ranks"], ordinals: Int[Array, "*ordinals"]) -> Float[Array, "*weights"]:
        """Gain of a hit before normalisation, for ranks from 1 to k and ordinals from 1; shapes broadcast."""

    def norm(self, relevant: Int[Array, "users"]) -> Float[Array, "users"]:
        """Divisor for users with this many relevant items (at least 1); 1 by default."""
        return np.ones(len(relevant))

    def gains(self, outcome: Outcome) -> Float[Array, "users k"]:
        """Contribution of each place to the user's value; 0 at places without a hit."""
        hits = self.hits(outcome)
        places = hits.shape[1]
        weights = self.weights(np.arange(1, places + 1), outcome.hits_so_far[:, :places])
        return hits * weights / self.norm(outcome.relevant)[:, None]

    def values(self, outcome: Outcome) -> Float[Array, "users"]:
        """Sum of each user's gains, in [0, 1]."""
        return self.gains(outcome).sum(1)


def mean(values: Float[Array, "n"]) -> float:
    """Mean of the values that are not NaN; NaN, without a warning, when there are none."""
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else float("nan")


def discounts(k: int) -> Float[Array, "k"]:
    """1 / log2(rank + 1) for ranks 1 to k (Järvelin & Kekäläinen 2002)."""
    return np.asarray(1 / np.log2(np.arange(2, k + 2)))


def ideal_dcg(relevant: Int[Array, "users"], k: int) -> Float[Array, "users"]:
    """DCG of a list that starts with min(k, relevant) hits; `relevant` is at least 1."""
    return np.asarray(np.cumsum(discounts(k))[np.minimum(relevant, k) - 1])


def reached(outcome: Outcome, k: int) -> Int[Array, "users"]:
    """Number of the first k places that can be filled: min(k, candidates)."""
    return np.minimum(outcome.candidates, k)
