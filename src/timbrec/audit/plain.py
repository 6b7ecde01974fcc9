"""A second implementation of the metrics: one user at a time, as the definitions read."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from timbrec.data.interactions import Interactions
from timbrec.data.split import Task
from timbrec.types import Array, Float, Int


@dataclass(frozen=True, eq=False)
class User:
    """A user's list (best first, without gaps), the relevant items, and the number of train users of every item."""

    listed: list[int]
    relevant: set[int]
    train_users: Int[Array, "items"]

    def hits(self, k: int) -> list[int]:
        """The ranks, from 1, of relevant items among the first k."""
        return [rank for rank, item in enumerate(self.listed[:k], 1) if item in self.relevant]

    def cold(self, items: set[int] | list[int]) -> list[int]:
        """The items without train plays."""
        return [item for item in items if self.train_users[item] == 0]


def _ndcg(user: User, k: int) -> float:
    ideal = range(1, min(k, len(user.relevant)) + 1)
    return sum(1 / math.log2(rank + 1) for rank in user.hits(k)) / sum(1 / math.log2(rank + 1) for rank in ideal)


def _average_precision(user: User, k: int) -> float:
    return sum(number / rank for number, rank in enumerate(user.hits(k), 1)) / len(user.relevant)


def _popularity(user: User, k: int) -> float:
    known = user.train_users[user.train_users > 0]
    counts = [user.train_users[item] for item in user.listed[:k] if user.train_users[item] > 0]
    return _ratio(sum(((known < count).mean() + (known <= count).mean()) / 2 for count in counts), len(counts))


def _cold_recall(user: User, k: int) -> float:
    new = user.cold(user.relevant)
    return _ratio(len(set(new) & set(user.listed[:k])), len(new))


def _ratio(part: float | int, whole: int) -> float:
    return part / whole if whole else math.nan


METRICS: dict[str, Callable[[User, int], float]] = {
    "hitrate": lambda user, k: float(bool(user.hits(k))),
    "recall": lambda user, k: len(user.hits(k)) / len(user.relevant),
    "precision": lambda user, k: len(user.hits(k)) / k,
    "ndcg": _ndcg,
    "mrr": lambda user, k: 1 / user.hits(k)[0] if user.hits(k) else 0.0,
    "map": _average_precision,
    "popularity": _popularity,
    "cold-share": lambda user, k: _ratio(len(user.cold(user.listed[:k])), len(user.listed[:k])),
    "cold-recall": _cold_recall,
}


def coverage(items: Int[Array, "users depth"], k: int, task: Task) -> float:
    """The share of the candidates that are in the first k of at least one user."""
    listed = {item for row in items[:, :k].tolist() for item in row if item >= 0}
    return _ratio(len(listed), len(set(task.candidates.tolist())))


def values(
    label: str,
    items: Int[Array, "users depth"],
    users: Int[Array, "users"],
    relevant: Interactions,
    train: Interactions,
) -> Float[Array, "users"]:
    """The values of a metric by its label, such as "ndcg@50", for these users' lists.

    Raises KeyError for a metric without a second implementation.
    """
    name, k = label.split("@")
    rows = [
        User(
            [item for item in listed if item >= 0],
            set(relevant.item[relevant.starts[user] : relevant.starts[user + 1]].tolist()),
            train.item_users,
        )
        for user, listed in zip(users, items.tolist(), strict=True)
    ]
    return np.array([METRICS[name](row, int(k)) for row in rows])
