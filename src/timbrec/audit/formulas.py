"""A second implementation of metrics and chance levels: all users at once, from the hits in their lists."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
from scipy.special import gammaln

from timbrec.types import Array, Bool, Float, Int

Values = Callable[[Bool[Array, "users k"], Int[Array, "users"], int], Float[Array, "users"]]


def _ideal(relevant: Int[Array, "users"], k: int) -> Float[Array, "users"]:
    return _ideals(k)[np.minimum(relevant, k)]


@cache
def _ideals(k: int) -> Float[Array, "n"]:
    """The ideal gain by the number of relevant items, from 0 to k."""
    return np.array([sum(1 / np.log2(place + 1) for place in range(1, count + 1)) for count in range(k + 1)])


def _ndcg(hits: Bool[Array, "users k"], relevant: Int[Array, "users"], k: int) -> Float[Array, "users"]:
    return np.asarray(hits @ (1 / np.log2(np.arange(hits.shape[1]) + 2)) / _ideal(relevant, k))


def _mrr(hits: Bool[Array, "users k"], relevant: Int[Array, "users"], k: int) -> Float[Array, "users"]:
    return np.where(hits.any(1), 1 / (hits.argmax(1) + 1), 0.0)


def _map(hits: Bool[Array, "users k"], relevant: Int[Array, "users"], k: int) -> Float[Array, "users"]:
    precision = np.cumsum(hits, 1) / np.arange(1, hits.shape[1] + 1)
    return np.asarray((precision * hits).sum(1) / relevant)


METRICS: dict[str, Values] = {
    "hitrate": lambda hits, relevant, k: hits.any(1).astype(float),
    "recall": lambda hits, relevant, k: hits.sum(1) / relevant,
    "precision": lambda hits, relevant, k: hits.sum(1) / k,
    "ndcg": _ndcg,
    "mrr": _mrr,
    "map": _map,
}


def _no_hit(relevant: Int[Array, "users"], n: Int[Array, "users"], k: int) -> Float[Array, "users"]:
    """The probability that k of n candidates, drawn without replacement, hold no relevant one."""
    places = np.minimum(k, n)
    others = n - relevant
    possible = others >= places
    free = np.where(possible, others - places, 0)
    log = gammaln(others + 1) - gammaln(free + 1) - gammaln(n + 1) + gammaln(n - places + 1)
    return np.where(possible, np.exp(log), 0.0)


def _chance_ndcg(relevant: Int[Array, "users"], n: Int[Array, "users"], k: int) -> Float[Array, "users"]:
    places = np.minimum(k, n)
    discounts = np.concatenate([[0.0], np.cumsum(1 / np.log2(np.arange(k) + 2))])
    return np.asarray(relevant / n * discounts[places] / _ideal(relevant, k))


CHANCE = {
    "hitrate": lambda relevant, n, k: 1 - _no_hit(relevant, n, k),
    "recall": lambda relevant, n, k: np.minimum(k, n) / n,
    "precision": lambda relevant, n, k: relevant * np.minimum(k, n) / n / k,
    "ndcg": _chance_ndcg,
}
