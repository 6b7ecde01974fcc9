"""ELSA: a linear autoencoder with factorised item similarities (Vancura et al. 2022)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch import nn

from timbrec.protocols import Content, Workspace
from timbrec.recommenders.shared.autoencoder import Autoencoder, Targets
from timbrec.recommenders.shared.profiles import ProfileScorer
from timbrec.recommenders.shared.sparse import means
from timbrec.recommenders.shared.towers import unit
from timbrec.settings import Count, Positive
from timbrec.training import TrainedRecommender
from timbrec.types import Array, Float32, Int

if TYPE_CHECKING:
    from timbrec.data.interactions import Interactions


@dataclass(frozen=True)
class ELSA(TrainedRecommender):
    """Score = xAA^T - x with the L2-normalised rows of a learned (items, factors) matrix as A.

    x is the binary vector of a user's train items; the training examples are users. ELSA reads interactions only, so
    it cannot rank cold items: it shows how far collaborative filtering gets in hot start. The optimiser is NAdam, as in
    the authors' package.

    - `targets`: the columns of x, the train items or as in the paper the whole `catalogue`.
    """

    uses_content: ClassVar[bool] = False
    baseline: ClassVar[bool] = True
    optimizer: ClassVar[str] = "nadam"
    version: ClassVar[int] = 2
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "tamm2026": {"epochs": 10, "stop_on": "nothing", "shuffle": False, "targets": "catalogue"},
        "quick": {"epochs": 20, "factors": 64, "patience": 4},
    }

    batch: Count = 128
    lr: Positive = 0.1
    factors: Count = 768
    targets: Targets = "train"

    def model(
        self, train: Interactions, content: Content, rng: np.random.Generator, workspace: Workspace = Workspace()
    ) -> ELSAModel:
        """The model before training; factors are initialised by Xavier's uniform rule."""
        return ELSAModel(self, train)


@dataclass(frozen=True, eq=False, kw_only=True)
class ELSAScorer(ProfileScorer):
    """A ProfileScorer without content; `lengths` (items,) are the norms of the learned rows before normalisation."""

    lengths: Float32[Array, "items"]


class ELSAModel(Autoencoder):
    """An autoencoder with a learned A."""

    can_rank_cold = False

    def __init__(self, settings: ELSA, train: Interactions) -> None:
        super().__init__(settings.targets, train)
        self.factors = nn.Parameter(nn.init.xavier_uniform_(torch.empty(len(self.columns), settings.factors)))

    def vectors(self) -> torch.Tensor:
        """The learned rows, divided by their norms: (columns, factors)."""
        return unit(self.factors)

    def scorer(self, users: Int[Array, "u"] | None = None) -> ELSAScorer:
        """A scorer with the learned vectors; items without a column have zero vectors."""
        items = np.zeros((self.train_pairs.n_items, self.factors.shape[1]), np.float32)
        items[self.columns] = self.vectors().cpu().numpy()
        lengths = np.zeros(len(items), np.float32)
        lengths[self.columns] = self.factors.norm(dim=1).cpu().numpy()
        return ELSAScorer(means(self.train_pairs, items), items, can_rank_cold=False, lengths=lengths)
