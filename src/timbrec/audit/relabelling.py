"""Relabelling: the null distribution of a control's metrics in cold start.

Items of the stored lists are relabelled at random among the candidates. This keeps the overlap between lists and every
user's number of relevant items. The overlap matters: users share lists, so the spread of a control is far wider than
the spread between users suggests.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from timbrec.data.split import Task
from timbrec.types import Array, Float, Int

METRICS = ("hitrate", "recall", "ndcg")
_AT_ONCE = 2**21  # ranks looked up at once
_TABLE = 2**26  # entries of the table of ranks, which bounds the number of users


def users_at_most(candidates: int) -> int:
    """The number of users to sample: 5,000, or fewer for very many candidates."""
    return max(min(5_000, _TABLE // max(candidates, 1)), 1)


def permutations(task: Task, replicates: int, seed: Sequence[int]) -> Int[Array, "replicates candidates"]:
    """Random relabellings of the task's candidates."""
    rng = np.random.default_rng(seed)
    order = np.broadcast_to(np.arange(len(task.candidates), dtype=np.int32), (replicates, len(task.candidates)))
    return rng.permuted(order, axis=1)


def relabelled(
    items: Int[Array, "users depth"],
    users: Int[Array, "users"],
    task: Task,
    ks: Sequence[int],
    labels: Int[Array, "replicates candidates"],
) -> Float[Array, "replicates metrics"]:
    """Means over `users` of HitRate, Recall and NDCG at every k, in this order, under each relabelling.

    `items` are the lists of these users. Relevant pairs are relabelled instead of lists, which is equivalent: the gain
    of a pair follows from the rank of its new item in the user's list, so a replicate costs a look-up per pair.
    """
    places, relevant = task.relevant.of_users(users)
    column = np.full(task.relevant.n_items, -1)
    column[task.candidates] = np.arange(len(task.candidates))
    ranks = _ranks(items, column, len(task.candidates))
    flat, new = places * len(task.candidates), column[relevant]
    step = max(_AT_ONCE // max(len(places), 1), 1)
    chunks = [labels[start : start + step] for start in range(0, len(labels), step)]
    count = np.bincount(places, minlength=len(users))
    depth = items.shape[1]
    return np.concatenate([_means(ranks.take(flat + chunk[:, new]), places, count, depth, ks) for chunk in chunks])


def _ranks(items: Int[Array, "users depth"], column: Int[Array, "items"], n: int) -> Int[Array, "users n"]:
    """The rank, from 0, of every candidate in every user's list; `depth` for candidates outside the list."""
    depth = items.shape[1]
    ranks = np.full((len(items), n), depth, np.int16)
    rows, at = np.nonzero(items >= 0)
    ranks[rows, column[items[rows, at]]] = at
    return ranks


def _means(
    ranks: Int[Array, "replicates pairs"],
    places: Int[Array, "pairs"],
    count: Int[Array, "users"],
    depth: int,
    ks: Sequence[int],
) -> Float[Array, "replicates metrics"]:
    """Metric means of a few replicates, from the few pairs with an item in the list."""
    n, users = len(ranks), len(count)
    replicate, pair = np.nonzero(ranks < depth)
    rank, user = ranks[replicate, pair].astype(np.int64), places[pair]
    first = np.full(n * users, depth, np.int64)
    np.minimum.at(first, replicate * users + user, rank)
    hit = [(first.reshape(n, users) < k).mean(1) for k in ks]
    recall = [_sums(replicate, (rank < k) / count[user], n) / users for k in ks]
    discount = 1 / np.log2(np.arange(depth) + 2)
    ideal = np.cumsum(discount)
    ndcg = [
        _sums(replicate, (rank < k) * discount[rank] / ideal[np.minimum(count, k) - 1][user], n) / users for k in ks
    ]
    return np.stack([*hit, *recall, *ndcg], 1)


def _sums(replicate: Int[Array, "hits"], values: Float[Array, "hits"], n: int) -> Float[Array, "n"]:
    return np.bincount(replicate, weights=values, minlength=n)


def familywise(observed: Float[Array, "tests"], null: Float[Array, "replicates tests"]) -> tuple[float, int]:
    """A single p value for all tests, and the index of the most deviating test (max-T of Westfall and Young, 1993).

    Values are standardised by their distribution over observed and null rows; p is the share of rows with a largest
    deviation of at least the observed row's. Exact for dependent tests.
    """
    together = np.concatenate([observed[None], null])
    deviation = together.std(0)
    far = np.abs(together - together.mean(0))
    moves = deviation > 1e-9  # constant ones, such as HitRate@50 among 40 candidates, cannot deviate
    z = np.divide(far, deviation, out=np.zeros_like(far), where=moves)
    largest = z.max(1)
    return float((largest >= largest[0]).mean()), int(z[0].argmax())
