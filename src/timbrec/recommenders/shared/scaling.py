"""Scaling of content vectors by statistics of the train items."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from timbrec.types import Array, Float32

Scale = Literal["none", "centre", "standardise"]


@dataclass(frozen=True, eq=False)
class Scaling:
    """x -> (x - shift) * factor, dimension by dimension."""

    shift: Float32[Array, "dim"]
    factor: Float32[Array, "dim"]

    @classmethod
    def of(cls, scale: Scale, train: Float32[Array, "n dim"]) -> Scaling:
        """The scaling by the train items' vectors.

        `centre` subtracts their mean, `standardise` also divides by their standard deviation, `none` changes nothing.
        Dimensions that are constant in train become zero.
        """
        zeros, ones = np.zeros(train.shape[1], np.float32), np.ones(train.shape[1], np.float32)
        if scale == "none":
            return cls(zeros, ones)
        mean = train.mean(0, dtype=np.float64).astype(np.float32)
        if scale == "centre":
            return cls(mean, ones)
        deviation = train.std(0, dtype=np.float64).astype(np.float32)
        return cls(mean, np.divide(1, deviation, out=zeros, where=deviation > 1e-6 * np.abs(mean)))

    def __call__(self, vectors: Float32[Array, "n dim"]) -> Float32[Array, "n dim"]:
        """The scaled vectors, a new array."""
        scaled = vectors - self.shift
        scaled *= self.factor
        return scaled
