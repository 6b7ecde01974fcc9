"""Hybrid: ELSA with an item matrix computed from content, so that it covers new tracks."""

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
from timbrec.training.recommender import STEP
from timbrec.training.trainable import distance
from timbrec.types import Array, Float32, Int

if TYPE_CHECKING:
    from timbrec.data.interactions import Interactions


@dataclass(frozen=True)
class Hybrid(TrainedRecommender):
    """Score = xAA^T - x with A = normalise(MLP(content)), an MLP dim-width-ReLU-width (Tamm & Aljanaki 2026).

    x is the binary vector of a user's train items; the training examples are users. Lists are ranked by the inner
    product with the mean of the user's item vectors: items outside the history are in the order of xAA^T - x.

    - `targets`: the columns of x, the train items or as in the paper the whole `catalogue`.
    - `scale`: as for KNN.
    """

    version: ClassVar[int] = 2
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "tamm2026": {
            "epochs": 200, "batch": 128, "lr": 1e-2, "stop_on": "validation loss", "targets": "catalogue",
            "scale": "none", "width": 768,
        },
        "quick": {"epochs": 40, "width": 64, "batch": 512, "patience": 6},
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
        """The model before training."""
        return HybridModel(self, train, content)

    def memory(self, n_users: int, n_items: int, dim: int) -> int:
        """Upper bound of the bytes of a training: the scaled content, twice while it is made or with the layers of the
        tower over all items and their gradients; the users' vectors; and the work of a batch."""
        return 4 * (n_items * max(2 * dim, dim + 5 * self.width) + n_users * self.width) + STEP


class HybridModel(Autoencoder):
    """An autoencoder with A = tower(content)."""

    content: torch.Tensor

    def __init__(self, settings: Hybrid, train: Interactions, content: Content) -> None:
        super().__init__(settings.targets, train)
        self.catalogue = content.vectors
        self.scaling = Scaling.of(settings.scale, content.vectors[train.items])
        self.tower = Tower([content.vectors.shape[1], settings.width, settings.width])
        self.add_table("content", torch.from_numpy(self._start()), learned=False)

    def vectors(self) -> torch.Tensor:
        """The tower's vectors (columns, width)."""
        vectors: torch.Tensor = self.tower(self.content)
        return vectors

    def scorer(self, users: Int[Array, "u"] | None = None) -> ProfileScorer:
        """A scorer with the tower's vectors of the whole catalogue."""
        items = self.tower.embed(self.catalogue, self.scaling)
        return ProfileScorer(means(self.train_pairs, items), items, tower=self.tower.frozen(), scaling=self.scaling)

    def moved(self) -> dict[str, float]:
        """Relative change of the content vectors, which are frozen."""
        return {"content": distance(self.content, self._start)}

    def _start(self, rows: slice = slice(None)) -> Float32[Array, "columns dim"]:
        return self.scaling(self.catalogue[self.columns[rows]])
