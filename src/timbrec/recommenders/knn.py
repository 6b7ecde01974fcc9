"""Nearest neighbours of a user's mean vector: no training, so nothing but the vectors speaks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from timbrec.protocols import Content, Recommender, Workspace
from timbrec.ranking.scorers import DotScorer, Vectors, normalised
from timbrec.recommenders.shared.scaling import Scale, Scaling
from timbrec.types import Array, Float32

if TYPE_CHECKING:
    from timbrec.data.interactions import Interactions
    from timbrec.data.split import Fold


@dataclass(frozen=True)
class KNN(Recommender):
    """Profile = mean of the vectors of the user's train items; items ranked by similarity to it.

    `profile` averages `unit` or `raw` vectors (`raw` is `tamm2026`). `similarity` is `cosine` or `dot`, which leaves
    the items their norms. `weights` counts every item once (`equal`) or log(1 + plays) times (`log`). `scale`
    subtracts the mean of the train items (`centre`), divides by their standard deviation too (`standardise`), or
    does neither (`none`). A user whose profile is zero scores every item 0, so the seeded tie order decides; `facts`
    counts such users and items.
    """

    profile: Literal["unit", "raw"] = "unit"
    similarity: Literal["cosine", "dot"] = "cosine"
    weights: Literal["equal", "log"] = "equal"
    scale: Scale = "none"

    def fit(
        self,
        train: Interactions,
        content: Content,
        validation: Fold | None,
        rng: np.random.Generator,
        workspace: Workspace = Workspace(),
    ) -> KNNScorer:
        """Average; only train items are looked at for any statistic."""
        scaling = Scaling.of(self.scale, content.vectors[train.items])
        vectors = scaling(content.vectors)
        users = _profiles(self, train, vectors)
        empty = {"zero vectors": vectors, "zero profiles": users[train.users]}
        found = {name: float((~rows.any(1)).sum()) for name, rows in empty.items()}
        return KNNScorer(users, _served(self, vectors), found=found, knn=self, vectors=vectors, scaling=scaling)


@dataclass(frozen=True, eq=False, kw_only=True)
class KNNScorer(DotScorer):
    """A DotScorer that can make the vectors of users and items it has not seen: `vectors` is the scaled content."""

    knn: KNN
    vectors: Float32[Array, "items dim"]
    scaling: Scaling

    def user_vectors(self, histories: Interactions) -> Float32[Array, "users dim"]:
        """Profiles (histories.n_users, dim) of users known only by what they played."""
        return _profiles(self.knn, histories, self.vectors)

    def add_items(self, vectors: Vectors) -> KNNScorer:
        """The same scorer with new items behind the old ones, by their content vectors."""
        new = self.scaling(vectors)
        items = np.concatenate([self.items, _served(self.knn, new)])
        return replace(self, items=items, vectors=np.concatenate([self.vectors, new]))


def _served(knn: KNN, vectors: Vectors) -> Vectors:
    return normalised(vectors) if knn.similarity == "cosine" else vectors


def _profiles(knn: KNN, histories: Interactions, vectors: Vectors) -> Float32[Array, "users dim"]:
    """Normalised means; the norm of a profile changes no user's order."""
    weights = np.log1p(histories.plays).astype(np.float32) if knn.weights == "log" else None
    averaged = normalised(vectors) if knn.profile == "unit" else vectors
    return normalised(np.asarray(histories.csr(weights) @ averaged))
