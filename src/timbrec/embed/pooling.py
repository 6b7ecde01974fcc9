"""Pooling of frames and windows to the vector of a track: always over time, never over channels."""

from __future__ import annotations

from typing import get_args

import numpy as np

from timbrec.errors import ConfigError
from timbrec.types import Array, Float, Float32, Pool

POOLS: tuple[Pool, ...] = get_args(Pool)


def pool(frames: Float[Array, "time dim"], pool: str = "mean", over: str = "time") -> Float32[Array, "d"]:
    """Return one vector of a track's frames, or of the vectors of its windows, pooled over time.

    `mean` and `max` keep the number of dimensions; `meanstd` doubles it: means, then standard deviations (divided by
    the number of frames). There is no sum, since it would grow with the length of the track. Raises ConfigError for
    another pool, and for another axis than time.
    """
    if pool not in POOLS or over != "time":
        raise ConfigError(
            f"vectors cannot be pooled by {pool!r} over {over!r}", fix=f"Over time, by {', '.join(POOLS)}."
        )
    if pool == "meanstd":
        return np.concatenate([frames.mean(0, np.float64), frames.std(0, np.float64)]).astype(np.float32)
    reduced = frames.max(axis=0) if pool == "max" else frames.mean(axis=0, dtype=np.float64)
    return reduced.astype(np.float32)


def window_parts(frames: Float32[Array, "n time dim"], pool: str) -> Float[Array, "n d"]:
    """Return the statistics of each window for `pool_windows`: mean, maximum, or mean and variance."""
    if pool == "max":
        return frames.max(axis=1)
    mean = frames.mean(axis=1, dtype=np.float64)
    return mean if pool == "mean" else np.concatenate([mean, frames.var(axis=1, dtype=np.float64)], axis=1)


def pool_windows(parts: Float[Array, "windows _"], by: str) -> Float32[Array, "_"]:
    """Return a track's vector from the statistics of its windows of equal length: `pool` of all their frames."""
    if by != "meanstd":
        return pool(parts, pool=by, over="time")
    means, variances = np.split(parts, 2, axis=1)
    deviation = np.sqrt(variances.mean(axis=0) + means.var(axis=0))
    return np.concatenate([means.mean(axis=0), deviation]).astype(np.float32)
