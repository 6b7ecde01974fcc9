"""Near copies: tracks whose vectors almost equal the vector of a train track, such as a second file of a recording."""

from __future__ import annotations

import numpy as np

from timbrec.types import Array, Float, Float32, Int

NEAR = 0.2  # of the usual distance of a train track to the nearest other one
_DIMS = 8  # with fewer dimensions, unrelated tracks come as near
_CROWDED = 0.2  # share of train tracks with such a neighbour above which nearness says nothing
_SAMPLE = 1_000  # train tracks that the usual distance is taken from
_CELLS = 1 << 24  # distances in memory at once
_SEED = 0xC0F1


def near_copies(
    train: Float32[Array, "n dim"], others: Float32[Array, "m dim"]
) -> tuple[Int[Array, "m"], Float[Array, "m"]] | None:
    """(m,) the row in train that each other track nearly equals, -1 if none; and (m,) its relative distance.

    Distances are Euclidean, with every dimension scaled to standard deviation 1 in train, and relative to the median
    distance between a train track and its nearest neighbour. A near copy is at most a fifth of that away: vectors
    spread evenly over d dimensions come so near by chance with a probability of about 0.7 x 0.2^d. Zero vectors are no
    copies. None if distances mean nothing: fewer than 8 dimensions vary, or a fifth of the train tracks have near
    copies in train themselves.
    """
    spread = train.std(0)
    varies = spread > 1e-6 * max(train.max(initial=0), -train.min(initial=0))
    if varies.sum() < _DIMS or len(train) < 2:
        return None
    mean = train.mean(0)
    train, others = (_scaled(vectors, mean, spread, varies) for vectors in (train, others))
    sample = np.sort(np.random.default_rng(_SEED).permutation(len(train))[:_SAMPLE])
    usual = _nearest(train[sample], train, itself=sample)[1]
    scale = float(np.median(usual))
    if scale == 0 or (usual <= NEAR * scale).mean() > _CROWDED:
        return None
    nearest, distance = _nearest(others, train)
    relative = distance / scale
    known = ~np.isnan(others).any(1)
    return np.where(known & (relative <= NEAR), nearest, -1), np.where(known, relative, np.inf)


def _scaled(vectors: Float32[Array, "n dim"], mean: Array, spread: Array, varies: Array) -> Float32[Array, "n varying"]:
    """The dimensions that vary, at mean 0 and standard deviation 1; NaN for zero vectors."""
    scaled = vectors[:, varies]  # a copy, changed in place: vectors may fill a third of the memory
    scaled -= mean[varies]
    scaled /= spread[varies]
    scaled[~vectors.any(1)] = np.nan
    return scaled


def _nearest(
    rows: Float32[Array, "m dim"], train: Float32[Array, "n dim"], itself: Int[Array, "m"] | None = None
) -> tuple[Int[Array, "m"], Float[Array, "m"]]:
    """The nearest train row of each row, other than `itself`, and its distance, in blocks of rows."""
    nearest = np.zeros(len(rows), np.int64)
    lengths = np.einsum("nd,nd->n", train, train)
    step = max(1, _CELLS // len(train))
    for start in range(0, len(rows), step):
        block = slice(start, start + step)
        squared = lengths - 2 * rows[block] @ train.T  # less the row's own length, which orders nothing
        squared[np.isnan(squared)] = np.inf
        if itself is not None:
            squared[np.arange(len(squared)), itself[block]] = np.inf
        nearest[block] = squared.argmin(1)
    apart = np.linalg.norm(rows.astype(np.float64) - train[nearest], axis=1)
    return nearest, np.where(np.isnan(apart), np.inf, apart)
