"""Catalogue coverage."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from timbrec.metrics.shared.base import Metric, Outcome
from timbrec.types import Array, Float


@dataclass(frozen=True)
class Coverage(Metric):
    """Share of all candidates that stand in the first k places of at least one user. In [0, 1]."""

    name: ClassVar[str] = "coverage"
    summary: ClassVar[str] = "Share of the candidates that at least one user is recommended."

    def values(self, outcome: Outcome) -> Float[Array, "users"]:
        """NaN for every user: coverage is a property of all lists together."""
        return np.full(len(outcome.relevant), np.nan)

    def value(self, outcome: Outcome) -> float:
        """Distinct listed items divided by the number of candidates; NaN when there are no candidates."""
        listed = np.zeros(len(outcome.cold) + 1, bool)
        listed[self.items(outcome)] = True
        return float(listed[:-1].sum() / outcome.pool) if outcome.pool else float("nan")
