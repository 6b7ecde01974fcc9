"""Scaling of content vectors by statistics of the train items."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

import numpy as np

from timbrec.types import Array, Float32

if TYPE_CHECKING:
    import torch

_DIMENSIONS = 64  # whose deviations are computed at once
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
        deviation = _deviation(train)
        return cls(mean, np.divide(1, deviation, out=zeros, where=deviation > 1e-6 * np.abs(mean)))

    def __call__(self, vectors: Float32[Array, "n dim"]) -> Float32[Array, "n dim"]:
        """The scaled vectors, a new array."""
        scaled = vectors - self.shift
        scaled *= self.factor
        return scaled

    def tensor(self, vectors: torch.Tensor) -> torch.Tensor:
        """The same vectors as from numpy, to the bit, on the device of `vectors`."""
        return (vectors - vectors.new_tensor(self.shift)).mul_(vectors.new_tensor(self.factor))


def _deviation(vectors: Float32[Array, "n dim"]) -> Float32[Array, "dim"]:
    """Standard deviations, computed in float64 for some dimensions at a time: numpy copies what it is given.

    No part has a single dimension unless there is only one: numpy sums a column in another order than a table.
    """
    edges = np.linspace(0, vectors.shape[1], 1 + max(1, -(-vectors.shape[1] // _DIMENSIONS))).astype(int)
    deviations = [vectors[:, start:end].std(0, dtype=np.float64) for start, end in pairwise(edges)]
    return np.concatenate(deviations).astype(np.float32)
