"""The scorer of a trained recommender."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from timbrec.ranking.scorers import DotScorer


@dataclass(frozen=True, eq=False, kw_only=True)
class TrainedScorer(DotScorer):
    """A DotScorer with the settings that validation chose."""

    stopped: dict[str, Any] = field(default_factory=dict)

    @property
    def chosen(self) -> dict[str, Any]:
        """The best epoch and the drops of the learning rate before it; empty without validation."""
        return self.stopped
