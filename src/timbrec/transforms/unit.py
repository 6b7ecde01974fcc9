"""Unit length."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from timbrec.ranking.scorers import normalised
from timbrec.types import Array, Float32


@dataclass(frozen=True)
class Normalisation:
    """x -> x / |x|; zero vectors stay zero."""

    def __call__(self, vectors: Float32[Array, "n dim"]) -> Float32[Array, "n dim"]:
        """(n, dim) vectors of length 1."""
        return normalised(vectors)


@dataclass(frozen=True)
class Unit:
    """Every vector divided by its L2 norm; zero vectors stay zero."""

    version: ClassVar[int] = 1

    def fitted(self, train: Float32[Array, "n dim"]) -> Normalisation:
        """The normalisation, which no train track changes."""
        return Normalisation()
