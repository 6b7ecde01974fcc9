"""Unit length."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from timbrec.ranking.scorers import normalised
from timbrec.types import Array, Float32


@dataclass(frozen=True)
class Unit:
    """Every vector divided by its L2 norm; zero vectors stay zero."""

    version: ClassVar[int] = 1

    def fitted(self, train: Float32[Array, "n dim"]) -> Callable[[Float32[Array, "n dim"]], Float32[Array, "n dim"]]:
        """The normalisation, which no train track changes."""
        return normalised
