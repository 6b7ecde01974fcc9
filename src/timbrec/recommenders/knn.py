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
    """Score = similarity of an item's vector and the user's profile, the mean vector of the user's train items.

    - `profile`: the mean of `unit` vectors (divided by their norms) or of `raw` vectors.
    - `similarity`: `cosine`, or `dot`, in which the norms of the items count.
    - `weights`: the weight of an item in the profile, 1 (`equal`) or log(1 + plays) (`log`).
    - `scale`: `standardise` subtracts the mean of the train items and divides by their standard deviation, `centre`
      subtracts the mean, `none` leaves the vectors unchanged.

    A user with a zero profile scores every item 0, so the tie order decides; `facts` counts such users and items. The
    preset `tamm2026` is the KNN of the paper: raw means of unscaled vectors.
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
        """A scorer with a profile per user. Scaling uses train items only."""
        scaling = Scaling.of(self.scale, content.vectors[train.items])
        vectors = scaling(content.vectors)
        users = _profiles(self, train, vectors)
        empty = {"zero vectors": content.vectors, "zero profiles": users[train.users]}
        facts = {name: float((~rows.any(1)).sum()) for name, rows in empty.items()}
        return KNNScorer(users, _served(self, vectors), remarks=facts, knn=self, vectors=vectors, scaling=scaling)


@dataclass(frozen=True, eq=False, kw_only=True)
class KNNScorer(DotScorer):
    """A DotScorer that also computes vectors of new users and items; `vectors` is the scaled content."""

    knn: KNN
    vectors: Float32[Array, "items dim"]
    scaling: Scaling

    def user_vectors(self, histories: Interactions) -> Float32[Array, "users dim"]:
        """Profiles (histories.n_users, dim) of users, from their histories; zero for an empty history."""
        played = histories.items  # only their vectors are read
        place = np.searchsorted(played, histories.item)
        return _profiles(self.knn, replace(histories, item=place, n_items=len(played)), self.vectors[played])

    def add_items(self, vectors: Vectors) -> KNNScorer:
        """A scorer with new items after the present ones, from their content vectors (n, dim)."""
        items = np.concatenate([self.items, self.embedded(vectors)])
        return replace(self, items=items, vectors=np.concatenate([self.vectors, self.scaling(vectors)]))

    def embedded(self, vectors: Vectors) -> Vectors:
        """Vectors (n, dim) of new items; the inner product with a profile is the score."""
        return _served(self.knn, self.scaling(vectors))


def _served(knn: KNN, vectors: Vectors) -> Vectors:
    """Item vectors; the inner product with a profile is the score."""
    return normalised(vectors) if knn.similarity == "cosine" else vectors


def _profiles(knn: KNN, histories: Interactions, vectors: Vectors) -> Float32[Array, "users dim"]:
    """Profiles divided by their norms, which does not change a user's ranking."""
    weights = np.log1p(histories.plays).astype(np.float32) if knn.weights == "log" else None
    averaged = normalised(vectors) if knn.profile == "unit" else vectors
    if histories.n_users == 1:  # without importing SciPy, which takes longer than a list
        rows = averaged[histories.item]
        return normalised((rows if weights is None else rows * weights[:, None]).sum(0, keepdims=True))
    return normalised(np.asarray(histories.csr(weights) @ averaged))
