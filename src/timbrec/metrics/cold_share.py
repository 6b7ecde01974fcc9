"""Share of cold items in a list."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from timbrec.metrics.shared.base import Metric, Outcome
from timbrec.types import Array, Float


@dataclass(frozen=True)
class ColdShare(Metric):
    """Cold items among the first k, divided by the filled places. Tells whether new tracks get a place at all."""

    name: ClassVar[str] = "cold-share"

    def values(self, outcome: Outcome) -> Float[Array, "users"]:
        """Share per user, in [0, 1]; NaN for an empty list."""
        items = self.items(outcome)
        filled = (items >= 0).sum(1)
        cold = ((items >= 0) & outcome.cold[items]).sum(1)
        return np.divide(cold, filled, out=np.full(len(items), np.nan), where=filled > 0)
