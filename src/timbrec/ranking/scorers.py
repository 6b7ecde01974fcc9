"""Scorers that several recommenders share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from timbrec.protocols import Scorer
from timbrec.types import Array, Float32, Int

if TYPE_CHECKING:
    import torch

    from timbrec.protocols import BoundScorer

Vectors = Float32[Array, "n dim"]


@dataclass(frozen=True, eq=False)
class DotScorer(Scorer):
    """Score = inner product of a user's and an item's vector.

    `users` (n_users, dim) and `items` (n_items, dim) are float32; `facts` returns `remarks`.
    """

    users: Float32[Array, "users dim"]
    items: Float32[Array, "items dim"]
    can_rank_cold: bool = True
    remarks: dict[str, float] = field(default_factory=dict)

    @property
    def facts(self) -> dict[str, float]:
        """Figures of the fit, e.g. the number of users without a usable profile."""
        return self.remarks

    def bind(self, items: Int[Array, "n"], device: torch.device) -> BoundScorer:
        """Gather the items once; each call is then one matrix product."""
        import torch  # here, because its import takes longer than any search

        users = torch.from_numpy(self.users)
        transposed = torch.from_numpy(self.items[items]).to(device).T

        def score(rows: Int[Array, "u"], out: torch.Tensor) -> None:
            torch.mm(users[torch.from_numpy(rows)].to(device), transposed, out=out)

        return score


def normalised(vectors: Vectors) -> Vectors:
    """Rows divided by their L2 norms; zero rows stay zero."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.divide(vectors, norms, out=np.zeros_like(vectors), where=norms > 0)
