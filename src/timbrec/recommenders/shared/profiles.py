"""Users as the mean of what they played."""

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
    """A user's vector is the mean of their items' served vectors; an item's comes from its content by the tower.

    Without a tower no items can be added.
    """

    tower: Tower | None = None
    scaling: Scaling | None = None

    def user_vectors(self, histories: Interactions) -> Float32[Array, "users width"]:
        """Means (histories.n_users, dim) of users known only by what they played."""
        return means(histories, self.items)

    def add_items(self, vectors: Float32[Array, "n dim"]) -> ProfileScorer:
        """The same scorer with new items behind the old ones, by their content vectors."""
        return replace(self, items=np.concatenate([self.items, self.embedded(vectors)]))

    def embedded(self, vectors: Float32[Array, "n dim"]) -> Float32[Array, "n width"]:
        """Item vectors, as they are served, of content vectors. Raises CannotRankError without a tower."""
        if self.tower is None or self.scaling is None:
            raise CannotRankError("items without plays cannot be added to a collaborative model")
        return self.tower.embed(self.scaling(vectors))
