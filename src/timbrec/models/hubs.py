"""Hubs: tracks that are among the nearest of very many others, and two corrections for them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from timbrec.models.index import Index
from timbrec.types import Array, Float, Float32, Int

NEIGHBOURS = 10
_SAMPLE = 5_000  # tracks that all others are compared with; bounds the time for large catalogues
_BLOCK = 4_096
_LEAST = 1e-6  # standard deviation of cosines, for vectors that are all alike


def density(index: Index, k: int = NEIGHBOURS, sample: int = _SAMPLE) -> Float32[Array, "items"]:
    """(items,) the mean cosine of each item with its `k` nearest items, high for hubs.

    Half of it is subtracted from a cosine by CSLS (Conneau et al. 2018): 2 cos(x, y) - r(x) - r(y), where r(x) is the
    same for all items of a list. The nearest are sought in a random sample of at most `sample` items.
    """
    n = len(index)
    rows = np.arange(n) if n <= sample else np.sort(np.random.default_rng(0).choice(n, sample, replace=False))
    others = np.ascontiguousarray(index.directions(rows).T)
    out = np.empty(n, np.float32)
    place = np.full(n, -1)
    place[rows] = np.arange(len(rows))
    k = min(k, max(len(rows) - 1, 1))
    for start in range(0, n, _BLOCK):
        block = np.arange(start, min(start + _BLOCK, n))
        cosines = index.directions(block) @ others
        own = place[block]
        cosines[np.flatnonzero(own >= 0), own[own >= 0]] = -1  # not its own neighbour
        out[block] = np.partition(cosines, -k, axis=1)[:, -k:].mean(1)
    return out


@dataclass(frozen=True, eq=False)
class Proximity:
    """Mutual proximity, with normal distributions of cosines (Schnitzer et al. 2012, JMLR 13, section 4.2).

    `means` and `deviations` (items,) describe each item's cosines with all items, itself included; `mean` (dim,)
    and `covariance` (dim, dim) describe the items' directions, and give the moments of cosines for any vector.
    """

    means: Float[Array, "items"]
    deviations: Float[Array, "items"]
    mean: Float[Array, "dim"]
    covariance: Float[Array, "dim dim"]

    @classmethod
    def of(cls, index: Index) -> Proximity:
        """The proximity in an index; reads all vectors twice."""
        n, dim = len(index), index.items.shape[1]
        blocks = [np.arange(start, min(start + _BLOCK, n)) for start in range(0, n, _BLOCK)]
        total, products = np.zeros(dim), np.zeros((dim, dim))
        for rows in blocks:
            unit = index.directions(rows)
            total += unit.sum(0, dtype=float)
            products += unit.T @ unit
        mean = total / n
        covariance = products / n - np.outer(mean, mean)
        moments = [_moments(index.directions(rows), mean, covariance) for rows in blocks]
        means, deviations = (np.concatenate(part) for part in zip(*moments, strict=True))
        return cls(means, deviations, mean, covariance)

    def scores(self, cosines: Float32[Array, "items"], direction: Float32[Array, "dim"]) -> Float[Array, "items"]:
        """(items,) the logarithm of mutual proximity with a vector of length 1, at most 0.

        Mutual proximity is the probability that a random item is less similar to the vector, times the probability that
        one is less similar to the item.
        """
        from scipy.special import log_ndtr

        mean, deviation = _moments(direction[None], self.mean, self.covariance)
        mine = log_ndtr((cosines - mean) / deviation)
        return np.asarray(mine + log_ndtr((cosines - self.means) / self.deviations))


def _moments(
    directions: Float32[Array, "n dim"], mean: Float[Array, "dim"], covariance: Float[Array, "dim dim"]
) -> tuple[Float[Array, "n"], Float[Array, "n"]]:
    """The mean and the standard deviation of the cosines of each direction with all items; at least 1e-6."""
    variance = ((directions @ covariance) * directions).sum(1)
    return directions @ mean, np.sqrt(np.maximum(variance, _LEAST**2))


def occurrences(vectors: Float32[Array, "items dim"], k: int = NEIGHBOURS) -> Int[Array, "items"]:
    """(items,) how often each item is among the `k` nearest, by cosine, of another (Radovanovic et al. 2010)."""
    index = Index.of(vectors[:0], vectors)
    unit = index.directions(np.arange(len(vectors)))
    counts = np.zeros(len(vectors), np.int64)
    for start in range(0, len(vectors), _BLOCK):
        cosines = unit[start : start + _BLOCK] @ unit.T
        cosines[np.arange(len(cosines)), start + np.arange(len(cosines))] = -2
        nearest = np.argpartition(cosines, -k, axis=1)[:, -k:]
        counts += np.bincount(nearest.ravel(), minlength=len(vectors))
    return counts


def skew(counts: Float[Array, "items"] | Int[Array, "items"]) -> float:
    """The skewness of k-occurrences: 0 without hubs, above 1 with marked ones; 0 if all are equal."""
    centred = counts - counts.mean()
    deviation = centred.std()
    return float((centred**3).mean() / deviation**3) if deviation > 0 else 0.0
