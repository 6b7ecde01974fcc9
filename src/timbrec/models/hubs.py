"""Hubs: tracks that are among the nearest of very many others, and a correction for them."""

from __future__ import annotations

import numpy as np

from timbrec.models.search import Index
from timbrec.types import Array, Float, Float32, Int

NEIGHBOURS = 10
_SAMPLE = 5_000  # tracks that all others are compared with; bounds the time for large catalogues
_BLOCK = 4_096


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
