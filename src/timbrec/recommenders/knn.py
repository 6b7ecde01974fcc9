"""KNN: the nearest neighbours of a user's mean vector, without training."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

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
    """Score = similarity of an item's vector to the user's profile, the mean of the vectors of the user's train items.

    - `profile`: the mean of `unit` vectors (divided by their norms) or of `raw` vectors.
    - `similarity`: `cosine`, or `dot`, which keeps the norms of the items.
    - `weights`: every item counts once (`equal`) or log(1 + plays) times (`log`).
    - `scale`: subtract the mean of the train items and divide by their standard deviation (`standardise`), subtract
      the mean only (`centre`), or leave the vectors as they are (`none`).

    A user whose profile is zero scores every item 0, so the tie order decides; `facts` counts such users and items.
    The preset `tamm2026` is the KNN of the paper: raw means of unscaled vectors.
    """

    version: ClassVar[int] = 2
    presets: ClassVar[dict[str, dict[str, Any]]] = {"tamm2026": {"profile": "raw", "scale": "none"}}

    profile: Literal["unit", "raw"] = "unit"
    similarity: Literal["cosine", "dot"] = "cosine"
    weights: Literal["equal", "log"] = "equal"
    scale: Scale = "standardise"

    def fit(
        self,
        train: Interactions,
        content: Content,
        validation: Fold | None,
        rng: np.random.Generator,
        workspace: Workspace = Workspace(),
    ) -> KNNScorer:
        """Average the vectors; all statistics are those of train items."""
        scaling = Scaling.of(self.scale, content.vectors[train.items])
        vectors = scaling(content.vectors)
        users = _profiles(self, train, vectors)
        empty = {"zero vectors": content.vectors, "zero profiles": users[train.users]}
        facts = {name: float((~rows.any(1)).sum()) for name, rows in empty.items()}
        return KNNScorer(users, _served(self, vectors), found=facts, knn=self, vectors=vectors, scaling=scaling)


@dataclass(frozen=True, eq=False, kw_only=True)
class KNNScorer(DotScorer):
    """A DotScorer that also computes vectors of new users and items; `vectors` is the scaled content."""

    knn: KNN
    vectors: Float32[Array, "items dim"]
    scaling: Scaling

    def user_vectors(self, histories: Interactions) -> Float32[Array, "users dim"]:
        """Profiles (histories.n_users, dim) of users by their histories; zero for a user without items."""
        return _profiles(self.knn, histories, self.vectors)

    def add_items(self, vectors: Vectors) -> KNNScorer:
        """A scorer with new items, given by their content vectors, after the present ones."""
        new = self.scaling(vectors)
        items = np.concatenate([self.items, _served(self.knn, new)])
        return replace(self, items=items, vectors=np.concatenate([self.vectors, new]))


def _served(knn: KNN, vectors: Vectors) -> Vectors:
    return normalised(vectors) if knn.similarity == "cosine" else vectors


def _profiles(knn: KNN, histories: Interactions, vectors: Vectors) -> Float32[Array, "users dim"]:
    """Means of norm 1: the norm of a profile does not change the user's order."""
    weights = np.log1p(histories.plays).astype(np.float32) if knn.weights == "log" else None
    averaged = normalised(vectors) if knn.profile == "unit" else vectors
    return normalised(np.asarray(histories.csr(weights) @ averaged))
