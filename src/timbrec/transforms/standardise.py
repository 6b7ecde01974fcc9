"""Standardisation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from timbrec.types import Array, Float32


@dataclass(frozen=True, eq=False)
class Standardised:
    """x -> (x - shift) * factor, dimension by dimension."""

    shift: Float32[Array, "dim"]
    factor: Float32[Array, "dim"]

    def __call__(self, vectors: Float32[Array, "n dim"]) -> Float32[Array, "n dim"]:
        """(n, dim) scaled vectors."""
        return (vectors - self.shift) * self.factor


@dataclass(frozen=True)
class Standardise:
    """Mean 0 and standard deviation 1 in every dimension, on the train tracks. Constant dimensions become 0."""

    version: ClassVar[int] = 1

    def fitted(self, train: Float32[Array, "n dim"]) -> Standardised:
        """The scaling."""
        mean = train.mean(0, dtype=np.float64).astype(np.float32)
        deviation = train.std(0, dtype=np.float64).astype(np.float32)
        varies = deviation > 1e-6 * np.abs(mean)
        return Standardised(mean, np.divide(1, deviation, out=np.zeros_like(deviation), where=varies))
