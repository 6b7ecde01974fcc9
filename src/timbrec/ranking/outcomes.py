"""Outcomes: ranked lists compared with the relevant pairs of a task."""

from __future__ import annotations

import numpy as np

from timbrec.data.interactions import Interactions
from timbrec.data.split import Task
from timbrec.metrics.shared.base import Outcome
from timbrec.types import Array, Bool, Float, Int

_USERS = 32  # users in one block of the (users, items) relevance bitmap, which then fits in the cache
_PAIRS = 2**22  # pairs that are counted at once, of which a copy is made


def outcome(
    items: Int[Array, "users depth"], task: Task, train: Interactions, users: Int[Array, "users"] | None = None
) -> Outcome:
    """The outcome of ranked lists for a task.

    `items` (users, depth) are item rows, best first, -1 at places without an item. Row u belongs to `users[u]`, by
    default to the task's users. Each user's train items are not counted as candidates, because `rank` leaves them out.
    """
    users = task.users if users is None else users
    cold = train.item_users == 0
    places, relevant = task.relevant.of_users(users)
    candidate = np.zeros(train.n_items, bool)
    candidate[task.candidates] = True
    return Outcome(
        items=items,
        hits=_hits(items, places, relevant, train.n_items),
        relevant=np.bincount(places, minlength=len(users)),
        relevant_cold=np.bincount(places, weights=cold[relevant], minlength=len(users)).astype(np.int64),
        candidates=len(task.candidates) - _chosen(train, candidate)[users],
        cold=cold,
        popularity=_percentiles(train),
        pool=len(task.candidates),
    )


def _chosen(train: Interactions, keep: Bool[Array, "items"]) -> Int[Array, "n_users"]:
    """The number of each user's train items for which `keep` is true."""
    counts = np.zeros(train.n_users, np.int64)
    for start in range(0, len(train), _PAIRS):
        pairs = slice(start, start + _PAIRS)
        counts += np.bincount(train.user[pairs][keep[train.item[pairs]]], minlength=train.n_users)
    return counts


def _hits(
    items: Int[Array, "users depth"], places: Int[Array, "m"], relevant: Int[Array, "m"], n_items: int
) -> Bool[Array, "users depth"]:
    """Whether each listed item is relevant, looked up in a bitmap of the relevant pairs, a block of users at a time."""
    hits = np.empty(items.shape, bool)
    width = n_items + 1  # the last column stays empty: item -1 of a user reads the last column of the previous user
    bitmap = np.zeros(min(_USERS, len(items)) * width, bool)
    held = places % _USERS * width + relevant
    edges = np.searchsorted(places, np.arange(0, len(items) + _USERS, _USERS))
    for block, start in enumerate(range(0, len(items), _USERS)):
        pairs = held[edges[block] : edges[block + 1]]
        bitmap[pairs] = True
        listed = items[start : start + _USERS]
        np.take(bitmap, listed + np.arange(len(listed))[:, None] * width, out=hits[start : start + _USERS], mode="wrap")
        bitmap[pairs] = False
    return hits


def _percentiles(train: Interactions) -> Float[Array, "items"]:
    """Share of train items with fewer users, ties counted half; 0 for items that are not in train."""
    counts = train.item_users
    histogram = np.bincount(counts)  # number of items with 0, 1, 2, ... users
    histogram[0] = 0
    cumulative = np.cumsum(histogram)
    return np.where(counts > 0, (cumulative - histogram / 2)[counts] / max(cumulative[-1], 1), 0.0)
