"""Exact change of each user's value when one candidate is removed and the lists are ranked again.

Removing an item moves every item behind it up by one place, lets the (k+1)-th item into the first k, and lowers R by
one if the item is relevant. Lists one place deeper than k therefore determine the new value without a new ranking.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from timbrec.data.interactions import Interactions
from timbrec.errors import ConfigError
from timbrec.metrics.shared.base import GainMetric, Outcome
from timbrec.types import Array, Bool, Float, Int


@dataclass(frozen=True, eq=False)
class Removals:
    """Effects of removing single candidates, one entry per (user, item) pair with an effect.

    `users` are places in the outcome, `items` item rows. `change` is the user's new value minus the old one. Where
    `gone` is true the item was the user's only relevant one: the user leaves the test, and `change` is minus the value.
    """

    values: Float[Array, "n"]
    users: Int[Array, "m"]
    items: Int[Array, "m"]
    change: Float[Array, "m"]
    gone: Bool[Array, "m"]


class _Sums(NamedTuple):
    """Sums of weights (users, places): of the hits before each place, and of the hits behind it moved up by one."""

    total: Float[Array, "n"]
    before: Float[Array, "n places"]
    behind_miss: Float[Array, "n places"]  # if the removed item is no hit
    behind_hit: Float[Array, "n places"]  # if it is one: later hits also lower their ordinal by one


def is_deep_enough(outcome: Outcome, metric: GainMetric) -> bool:
    """Whether the lists are one place deeper than the metric's k, or as long as the number of candidates allows."""
    return outcome.depth >= min(metric.k + 1, outcome.pool)


def removals(outcome: Outcome, metric: GainMetric, users: Int[Array, "n"], relevant: Interactions) -> Removals:
    """The change of each user's value by the removal of single candidates; removals without an effect are left out.

    Row u of the outcome belongs to user `users[u]`, ascending. Raises ConfigError for lists that are too short.
    """
    if not is_deep_enough(outcome, metric):
        raise ConfigError(
            f"{metric.label}: intervals over items need lists of {metric.k + 1} items",
            example=outcome.depth,
            fix="Rank one place deeper than k.",
        )
    sums = _sums(outcome, metric)
    values = sums.total / metric.norm(outcome.relevant)
    listed = _listed(outcome, metric, sums, values)
    unlisted = _unlisted(outcome, metric, sums, values, users, relevant)
    return Removals(values, *(np.concatenate(parts) for parts in zip(listed, unlisted, strict=True)))


def _sums(outcome: Outcome, metric: GainMetric) -> _Sums:
    depth = min(metric.k + 1, outcome.depth)
    hits, ordinals = outcome.hits[:, :depth], outcome.hits_so_far[:, :depth].astype(np.int64)
    ranks, places = np.arange(1, depth + 1), min(metric.k, depth)
    kept = hits[:, :places] * metric.weights(ranks[:places], ordinals[:, :places])
    later = hits[:, 1:]
    moved = later * metric.weights(ranks[:-1], ordinals[:, 1:])
    renumbered = later * np.where(
        ordinals[:, 1:] > 1, metric.weights(ranks[:-1], np.maximum(ordinals[:, 1:] - 1, 1)), 0
    )
    before = np.cumsum(kept, 1)
    return _Sums(before[:, -1], before - kept, _behind(moved, places), _behind(renumbered, places))


def _behind(weights: Float[Array, "n later"], places: int) -> Float[Array, "n places"]:
    """Sum of the weights behind each place; column j of `weights` belongs to place j + 1."""
    sums = np.zeros((len(weights), places))
    width = min(places, weights.shape[1])
    sums[:, :width] = np.cumsum(weights[:, ::-1], 1)[:, ::-1][:, :width]
    return sums


_Entries = tuple[Int[Array, "m"], Int[Array, "m"], Float[Array, "m"], Bool[Array, "m"]]


def _listed(outcome: Outcome, metric: GainMetric, sums: _Sums, values: Float[Array, "n"]) -> _Entries:
    """Removals of items in the first k places."""
    places = sums.before.shape[1]
    hits, items = outcome.hits[:, :places], outcome.items[:, :places]
    fewer = outcome.relevant - 1
    divisor, divisor_hit = metric.norm(outcome.relevant), metric.norm(np.maximum(fewer, 1))
    after = np.where(
        hits,
        (sums.before + sums.behind_hit) * ((fewer > 0) / divisor_hit)[:, None],
        (sums.before + sums.behind_miss) / divisor[:, None],
    )
    gone = hits & (fewer == 0)[:, None]
    change = after - values[:, None]
    rows, columns = np.nonzero((items >= 0) & ((change != 0) | gone))
    return rows, items[rows, columns], change[rows, columns], gone[rows, columns]


def _unlisted(
    outcome: Outcome, metric: GainMetric, sums: _Sums, values: Float[Array, "n"], users: Int[Array, "n"],
    relevant: Interactions,
) -> _Entries:  # fmt: skip
    """Removals of relevant items that are not in the first k places: only R falls."""
    places = sums.before.shape[1]
    owners, items = relevant.of_users(users)
    hit_users, hit_places = np.nonzero(outcome.hits[:, :places])
    pairs = owners * relevant.n_items + items  # ascending: interactions are sorted by user, then item
    outside = np.ones(len(pairs), bool)
    outside[np.searchsorted(pairs, hit_users * relevant.n_items + outcome.items[hit_users, hit_places])] = False
    owners, items = owners[outside], items[outside]
    fewer = outcome.relevant - 1
    after = sums.total * (fewer > 0) / metric.norm(np.maximum(fewer, 1))
    change, gone = (after - values)[owners], (fewer == 0)[owners]
    effective = (change != 0) | gone
    return owners[effective], items[effective], change[effective], gone[effective]
