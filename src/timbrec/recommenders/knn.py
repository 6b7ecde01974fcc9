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
        items, averaged = _tables(self, scaling(content.vectors))
        users = _profiles(self, train, averaged)
        facts = {
            "zero vectors": float((~content.vectors.any(1)).sum()),
            "zero profiles": float((~np.asarray(users.any(1))[train.users]).sum()),
        }
        return KNNScorer(users, items, remarks=facts, knn=self, averaged=averaged, scaling=scaling)


@dataclass(frozen=True, eq=False, kw_only=True)
class KNNScorer(DotScorer):
    """A DotScorer that also computes vectors of new users and items; `averaged` (items, dim) are the vectors whose mean
    is a profile, for most settings the same array as `items`."""

    knn: KNN
    averaged: Float32[Array, "items dim"]
    scaling: Scaling

    def user_vectors(self, histories: Interactions) -> Float32[Array, "users dim"]:
        """Profiles (histories.n_users, dim) of users, from their histories; zero for an empty history."""
        played = histories.items  # only their vectors are read
        place = np.searchsorted(played, histories.item)
        return _profiles(self.knn, replace(histories, item=place, n_items=len(played)), self.averaged[played])

    def add_items(self, vectors: Vectors) -> KNNScorer:
        """A scorer with new items after the present ones, from their content vectors (n, dim)."""
        new = _tables(self.knn, self.scaling(vectors))
        items, averaged = (np.concatenate(pair) for pair in zip((self.items, self.averaged), new, strict=True))
        return replace(self, items=items, averaged=averaged)

    def embedded(self, vectors: Vectors) -> Vectors:
        """Vectors (n, dim) of new items; the inner product with a profile is the score."""
        return _tables(self.knn, self.scaling(vectors))[0]


def _tables(knn: KNN, scaled: Vectors) -> tuple[Vectors, Vectors]:
    """Item vectors whose inner product with a profile is the score, and the vectors that profiles average.

    `scaled` is overwritten if neither is the scaled vectors themselves.
    """
    if knn.similarity == "cosine" and knn.profile == "unit":
        unit = normalised(scaled, out=scaled)
        return unit, unit
    unit = normalised(scaled)
    return (unit if knn.similarity == "cosine" else scaled), (unit if knn.profile == "unit" else scaled)


def _profiles(knn: KNN, histories: Interactions, averaged: Vectors) -> Float32[Array, "users dim"]:
    """Profiles divided by their norms, which does not change a user's ranking."""
    weights = np.log1p(histories.plays).astype(np.float32) if knn.weights == "log" else None
    if histories.n_users == 1:  # without importing SciPy, which takes longer than a list
        rows = averaged[histories.item]
        return normalised((rows if weights is None else rows * weights[:, None]).sum(0, keepdims=True))
    sums = np.asarray(histories.csr(weights) @ averaged)
    return normalised(sums, out=sums)
