"""Hybrid: ELSA whose item matrix is computed from the content, so that new tracks have their place in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch

from timbrec.protocols import Content, Workspace
from timbrec.recommenders.shared.autoencoder import Autoencoder, Targets
from timbrec.recommenders.shared.profiles import ProfileScorer
from timbrec.recommenders.shared.scaling import Scale, Scaling
from timbrec.recommenders.shared.sparse import means
from timbrec.recommenders.shared.towers import Tower
from timbrec.settings import Count, Positive
from timbrec.training import TrainedRecommender
from timbrec.training.trainable import distance
from timbrec.types import Array, Int

if TYPE_CHECKING:
    from timbrec.data.interactions import Interactions


@dataclass(frozen=True)
class Hybrid(TrainedRecommender):
    """score = xAA^T - x with A = normalise(MLP(content)), the MLP dim-width-ReLU-width.

    An example is a user. Served as inner products with the mean of the user's item vectors, which ranks unseen items
    as the reconstruction does. `targets` is what x has columns for.
    """

    version: ClassVar[int] = 2
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "tamm2026": {
            "epochs": 200, "batch": 128, "lr": 1e-2, "stop_on": "validation loss", "targets": "catalogue",
            "scale": "none", "width": 768,
        },
    }  # fmt: skip

    epochs: Count = 200
    batch: Count = 128
    lr: Positive = 1e-2
    targets: Targets = "train"
    scale: Scale = "standardise"
    width: Count = 256

    def model(
        self, train: Interactions, content: Content, rng: np.random.Generator, workspace: Workspace = Workspace()
    ) -> HybridModel:
        """The MLP over the content."""
        return HybridModel(self, train, content)


class HybridModel(Autoencoder):
    """The MLP under training."""

    content: torch.Tensor

    def __init__(self, settings: Hybrid, train: Interactions, content: Content) -> None:
        super().__init__(settings.targets, train)
        self.scaling = Scaling.of(settings.scale, content.vectors[train.items])
        self.catalogue = self.scaling(content.vectors)
        self.tower = Tower([content.vectors.shape[1], settings.width, settings.width])
        self.add_table("content", torch.from_numpy(self.catalogue[self.columns]), learned=False)

    def vectors(self) -> torch.Tensor:
        """The columns' items through the tower."""
        vectors: torch.Tensor = self.tower(self.content)
        return vectors

    def scorer(self, users: Int[Array, "u"] | None = None) -> ProfileScorer:
        """The whole catalogue through the tower."""
        items = self.tower.embed(self.catalogue)
        return ProfileScorer(means(self.train_pairs, items), items, tower=self.tower.frozen(), scaling=self.scaling)

    def moved(self) -> dict[str, float]:
        """Of the content."""
        return {"content": distance(self.content, self.catalogue[self.columns])}
