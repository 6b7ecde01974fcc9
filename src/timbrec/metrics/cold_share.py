"""Share of cold items in a list."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from timbrec.metrics.shared.base import Metric, Outcome
from timbrec.types import Array, Float


@dataclass(frozen=True)
class ColdShare(Metric):
    """Cold items among the first k places, divided by the filled places: whether new tracks are recommended at all."""

    name: ClassVar[str] = "cold-share"
    summary: ClassVar[str] = "Share of new tracks among the first k places."

    def values(self, outcome: Outcome) -> Float[Array, "users"]:
        """Share of cold items in each user's list, in [0, 1]; NaN for an empty list."""
        items = self.items(outcome)
        filled = (items >= 0).sum(1)
        cold = ((items >= 0) & outcome.cold[items]).sum(1)
        return np.divide(cold, filled, out=np.full(len(items), np.nan), where=filled > 0)
