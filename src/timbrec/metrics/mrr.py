"""Mean reciprocal rank."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from timbrec.metrics.shared.base import GainMetric, Outcome
from timbrec.types import Array, Float, Int


@dataclass(frozen=True)
class MRR(GainMetric):
    """1 / rank of the first relevant item; 0 if there is none in the first k places (Voorhees 1999)."""

    name: ClassVar[str] = "mrr"
    summary: ClassVar[str] = "Reciprocal rank of the first relevant track, 0 below rank k."

    def weights(self, ranks: Int[Array, "*ranks"], ordinals: Int[Array, "*ordinals"]) -> Float[Array, "*weights"]:
        """1 / rank for the first hit, 0 for the others."""
        return (ordinals == 1) / ranks

    def chance(self, outcome: Outcome) -> Float[Array, "users"]:
        """Sum over ranks r of 1 / r times the probability that the first hit has rank r (k vectorised steps)."""
        expected = np.zeros(len(outcome.relevant))
        none_yet = np.ones(len(outcome.relevant))  # probability of no relevant item before this rank
        for rank in range(1, self.k + 1):
            left = np.maximum(outcome.candidates - rank + 1, 0)
            hit = np.divide(outcome.relevant, left, out=np.zeros_like(expected), where=left > 0).clip(max=1)
            expected += none_yet * hit / rank
            none_yet *= 1 - hit
        return expected
