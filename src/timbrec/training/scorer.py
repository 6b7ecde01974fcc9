"""The scorer of a trained recommender."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from timbrec.ranking.scorers import DotScorer
from timbrec.types import Array, Int

if TYPE_CHECKING:
    import torch

    from timbrec.protocols import BoundScorer


@dataclass(frozen=True, eq=False, kw_only=True)
class TrainedScorer(DotScorer):
    """A DotScorer with the settings that validation chose."""

    stopped: dict[str, Any] = field(default_factory=dict)

    @property
    def chosen(self) -> dict[str, Any]:
        """The best epoch and the drops of the learning rate before it; empty without validation."""
        return self.stopped


@dataclass(frozen=True, eq=False, kw_only=True)
class ChosenUsersScorer(TrainedScorer):
    """A TrainedScorer that ranks for some users only: row r of `users` is the vector of user `chosen[r]`, ascending."""

    chosen_users: Int[Array, "users"]

    def bind(self, items: Int[Array, "n"], device: torch.device) -> BoundScorer:
        """Find the users among the chosen ones before each product."""
        score = super().bind(items, device)
        return lambda users, out: score(np.searchsorted(self.chosen_users, users), out)
