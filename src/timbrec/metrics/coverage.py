"""Catalogue coverage."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from timbrec.metrics.shared.base import Metric, Outcome
from timbrec.types import Array, Float


@dataclass(frozen=True)
class Coverage(Metric):
    """Share of all candidates that are among the first k of at least one user. In [0, 1]."""

    name: ClassVar[str] = "coverage"

    def values(self, outcome: Outcome) -> Float[Array, "users"]:
        """Undefined for a single user: NaN."""
        return np.full(len(outcome.relevant), np.nan)

    def value(self, outcome: Outcome) -> float:
        """Distinct listed items over candidates; NaN when there are no candidates."""
        listed = np.zeros(len(outcome.cold) + 1, bool)
        listed[self.items(outcome)] = True
        return float(listed[:-1].sum() / outcome.pool) if outcome.pool else float("nan")
