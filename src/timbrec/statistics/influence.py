"""Influence of each user, item and (user, item) pair on the mean value of a line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np

from timbrec.data.split import Task
from timbrec.errors import DataError
from timbrec.metrics.shared.base import GainMetric, Metric, Outcome
from timbrec.statistics.removal import is_deep_enough, removals
from timbrec.types import Array, Float, Int

SAMPLE = 1_000  # users with stored pairs: the subtracted part of the variance is a sum over users


@dataclass(frozen=True, eq=False)
class Pairs:
    """Influences of (cluster of items, user) pairs of a sample of users. `scale` is all users / sampled users."""

    items: Int[Array, "m"]
    users: Int[Array, "m"]
    influence: Float[Array, "m"]
    scale: float


@dataclass(frozen=True, eq=False)
class Influence:
    """Everything that a comparison needs to know about a line: small, computed from the line's lists once per metric.

    `value` is the mean over users and seeds, `of_seeds` the value of each seed. `users` (users,) are the influences of
    single users; they add up to 0. `items` (clusters,) are the influences of single candidates, or of clusters of them
    (artists) if `clustered`; None for metrics without gains, and for lists too short to be ranked again.
    `effective_items` is 1 / the sum of squares of the shares of the test that the items, or the clusters, have.
    `undefined_users` counts users without a defined value.
    """

    value: float
    of_seeds: Float[Array, "seeds"]
    users: Float[Array, "users"]
    items: Float[Array, "clusters"] | None
    pairs: Pairs | None
    effective_items: float
    undefined_users: int
    clustered: bool = False


def influence(
    outcomes: Sequence[Outcome], task: Task, metric: Metric, clusters: Int[Array, "items"] | None = None
) -> Influence:
    """The influences of a line's users and candidates on its value.

    `outcomes` holds the outcome of each seed for the users of `task`, in order. `clusters` (all items) numbers groups
    of items that are drawn together, such as the tracks of an artist; -1 is a group of its own. Users without a
    defined value count in neither the value nor the influences. Raises DataError without outcomes.
    """
    if not outcomes:
        raise DataError("a line without lists cannot be compared", fix="Run the cell first.")
    per_user = np.mean([metric.values(outcome) for outcome in outcomes], axis=0)
    of_seeds = np.array([metric.value(outcome) for outcome in outcomes])
    defined = ~np.isnan(per_user)
    users = np.zeros(len(per_user))
    if defined.any():
        users[defined] = (per_user[defined] - per_user[defined].mean()) / defined.sum()
    sizes, undefined = _sizes(task, clusters), int((~defined).sum())
    value = float(of_seeds.mean())
    if not (isinstance(metric, GainMetric) and all(is_deep_enough(outcome, metric) for outcome in outcomes)):
        return Influence(value, of_seeds, users, None, None, sizes.effective, undefined)
    items, pairs = _over_items(outcomes, task, metric, sizes.groups)
    return Influence(value, of_seeds, users, items, pairs, sizes.effective, undefined, clusters is not None)


def effective_items(task: Task, clusters: Int[Array, "items"] | None = None) -> float:
    """1 / the sum of squares of the items' shares of the test, where each user shares 1 equally; 0 without users.

    With `clusters`, the shares are those of clusters, and the result is the effective number of clusters.
    """
    return _sizes(task, clusters).effective


@dataclass(frozen=True, eq=False)
class _Sizes:
    """The cluster of each item, and the effective number of clusters in the test."""

    clusters: Int[Array, "items"] | None
    groups: Int[Array, "items"]
    effective: float


_known: WeakKeyDictionary[Task, _Sizes] = WeakKeyDictionary()  # the same for all metrics and controls of a line


def _sizes(task: Task, clusters: Int[Array, "items"] | None) -> _Sizes:
    sizes = _known.get(task)
    if sizes is None or sizes.clusters is not clusters:
        groups = _groups(task, clusters)
        sizes = _known[task] = _Sizes(clusters, groups, _effective(task, groups))
    return sizes


def _effective(task: Task, every: Int[Array, "items"]) -> float:
    users = task.users
    if not len(users):
        return 0.0
    places, items = task.relevant.of_users(users)
    groups = every[items]
    share = np.bincount(groups, weights=1 / task.relevant.user_items[users][places]) / len(users)
    return float(1 / (share**2).sum())


def _groups(task: Task, clusters: Int[Array, "items"] | None) -> Int[Array, "items"]:
    """The cluster of each item, numbered from 0 over the candidates; -1 for items that are no candidates."""
    groups = np.full(task.relevant.n_items, -1)
    candidates = task.candidates
    if clusters is None:
        groups[candidates] = np.arange(len(candidates))
        return groups
    own = np.where(clusters < 0, len(clusters) + np.arange(len(clusters)), clusters)
    groups[candidates] = np.unique(own[candidates], return_inverse=True)[1]
    return groups


def _over_items(
    outcomes: Sequence[Outcome], task: Task, metric: GainMetric, groups: Int[Array, "items"]
) -> tuple[Float[Array, "clusters"], Pairs]:
    users, candidates, seeds = task.users, task.candidates, len(outcomes)
    n, sampled = len(users), _sample(len(users))
    influences, entries = np.zeros(len(candidates)), []
    for outcome in outcomes:
        effects = removals(outcome, metric, users, task.relevant)
        change = effects.change + effects.gone * effects.values.mean()
        change_of_items, lost = (
            np.bincount(effects.items, weights=weights, minlength=len(groups))[candidates]
            for weights in (change, effects.gone)
        )
        influences -= change_of_items / np.maximum(n - lost, 1) / seeds
        kept = sampled[effects.users] >= 0
        entries.append((groups[effects.items[kept]], sampled[effects.users[kept]], -change[kept] / n / seeds))
    items = np.bincount(groups[candidates], weights=influences - influences.mean())
    of_items, of_users, parts = (np.concatenate(columns) for columns in zip(*entries, strict=True))
    return items, Pairs(of_items, of_users, parts, n / max(int((sampled >= 0).sum()), 1))


def _sample(users: int) -> Int[Array, "users"]:
    """The number of each user in a sample of SAMPLE users, the same for all lines; -1 outside it."""
    numbers = np.full(users, -1)
    chosen = np.random.default_rng(0).permutation(users)[:SAMPLE]
    numbers[chosen] = np.arange(len(chosen))
    return numbers
