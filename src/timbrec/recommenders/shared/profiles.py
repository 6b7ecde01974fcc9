"""Scorers that represent a user by the mean vector of their items."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from timbrec.data.interactions import Interactions
from timbrec.errors import CannotRankError
from timbrec.recommenders.shared.scaling import Scaling
from timbrec.recommenders.shared.sparse import means
from timbrec.recommenders.shared.towers import Tower
from timbrec.training import TrainedScorer
from timbrec.types import Array, Float32


@dataclass(frozen=True, eq=False, kw_only=True)
class ProfileScorer(TrainedScorer):
    """A TrainedScorer in which a user's vector is the mean of their items' vectors.

    `tower` and `scaling` compute the vector of a new item from its content. Without them no items can be added.
    """

    tower: Tower | None = None
    scaling: Scaling | None = None

    def user_vectors(self, histories: Interactions) -> Float32[Array, "users width"]:
        """Vectors (histories.n_users, width) of users, from their histories; zero for an empty history."""
        return means(histories, self.items)

    def add_items(self, vectors: Float32[Array, "n dim"]) -> ProfileScorer:
        """A scorer with new items after the present ones, from their content vectors (n, dim)."""
        return replace(self, items=np.concatenate([self.items, self.embedded(vectors)]))

    def embedded(self, vectors: Float32[Array, "n dim"]) -> Float32[Array, "n width"]:
        """Item vectors (n, width) of content vectors (n, dim). Raises CannotRankError without a tower."""
        if self.tower is None or self.scaling is None:
            raise CannotRankError("items without plays cannot be added to a collaborative model")
        return self.tower.embed(self.scaling(vectors))
