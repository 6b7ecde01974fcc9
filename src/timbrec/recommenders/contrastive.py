"""Contrastive: aligns the content and the collaborative vector of a track (bimodal; Tamm & Aljanaki 2026)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, cast

import numpy as np
import torch

from timbrec.protocols import Content, Workspace
from timbrec.recommenders.elsa import ELSA, ELSAScorer
from timbrec.recommenders.shared.fitted_once import fitted_once
from timbrec.recommenders.shared.losses import ContrastiveLoss, contrastive
from timbrec.recommenders.shared.profiles import ProfileScorer
from timbrec.recommenders.shared.scaling import Scale, Scaling
from timbrec.recommenders.shared.sparse import means
from timbrec.recommenders.shared.towers import Tower
from timbrec.settings import Count, Positive
from timbrec.training import Trainable, TrainedRecommender
from timbrec.training.trainable import distance
from timbrec.types import Array, Bool, Float32, Int

if TYPE_CHECKING:
    from timbrec.data.interactions import Interactions

ReadOut = Literal["content", "collaborative", "average"]


@dataclass(frozen=True)
class Contrastive(TrainedRecommender):
    """Score = inner product of an item's unit vector and the user's profile, the mean vector of their train items.

    Two MLPs map the content (dim-width-ReLU-width) and ELSA's item factors (factors-width-ReLU-width) to unit vectors.
    A contrastive loss over the train items aligns the two vectors of each item. ELSA is fitted to the same train part
    once for all encoders of a run, for `elsa_epochs`, with the preset `elsa`.

    - `readout`: vectors to rank by, `content`, `collaborative` or their `average`. A list has one read-out: if any
      candidate was not in train, the whole list is ranked by `content`, because such an item has no collaborative
      vector and scores of the two kinds have no common scale.
    - `loss`, `temperature`, `sigma`: see `shared/losses.py`. `scale`: as for KNN.
    - `elsa`: with `tamm2026`, ELSA's factors keep their lengths; with `corrected`, they are unit vectors.
    """

    user_tables: ClassVar[int] = 4
    version: ClassVar[int] = 2
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "tamm2026": {"stop_on": "train loss", "scale": "none", "elsa": "tamm2026"},
        "quick": {"epochs": 20, "width": 64, "factors": 64, "patience": 4},
    }

    readout: ReadOut = "content"
    loss: ContrastiveLoss = "ADCL"
    temperature: Positive = 0.1
    sigma: Positive = 0.5
    width: Count = 768
    scale: Scale = "standardise"
    elsa: Literal["corrected", "tamm2026"] = "corrected"
    elsa_epochs: Count = 10
    factors: Count = 768

    def model(
        self, train: Interactions, content: Content, rng: np.random.Generator, workspace: Workspace = Workspace()
    ) -> ContrastiveModel:
        """The model before training, with ELSA fitted or read from the workspace."""
        elsa = ELSA.preset(self.elsa, epochs=self.elsa_epochs, factors=self.factors)
        fitted = cast(ELSAScorer, fitted_once(elsa, train, content, rng, workspace, "elsa"))
        lengths = fitted.lengths if self.elsa == "tamm2026" else (fitted.lengths > 0).astype(np.float32)
        return ContrastiveModel(self, train, content, fitted.items * lengths[:, None])


@dataclass(frozen=True, eq=False, kw_only=True)
class ContrastiveScorer(ProfileScorer):
    """A ProfileScorer that can rank by content, by collaborative vectors, or by their average.

    `sides` holds the user and item vectors of each kind. `known` (items,) marks items with train plays; the others'
    collaborative vectors are zero. `users` and `items` are the vectors of `readout`.
    """

    sides: dict[str, Float32[Array, "..."]]
    known: Bool[Array, "items"]
    readout: ReadOut

    def reading(self, readout: ReadOut) -> ContrastiveScorer:
        """The same fitted model with another read-out."""
        users, items = (_read(readout, self.sides, of) for of in ("users", "items"))
        return replace(self, users=users, items=items, readout=readout)

    def among(self, candidates: Int[Array, "c"]) -> ContrastiveScorer:
        """The scorer for a list of these candidates: by content if any has no collaborative vector."""
        return self if self.readout == "content" or self.known[candidates].all() else self.reading("content")

    def add_items(self, vectors: Float32[Array, "n dim"]) -> ContrastiveScorer:
        """A scorer with new items after the present ones, from their content vectors (n, dim)."""
        new = self.embedded(vectors)
        parts = {"content items": new, "collaborative items": np.zeros_like(new)}
        sides = self.sides | {name: np.concatenate([self.sides[name], part]) for name, part in parts.items()}
        items, known = _read(self.readout, sides, "items"), np.pad(self.known, (0, len(new)))
        return replace(self, items=items, sides=sides, known=known)


class ContrastiveModel(Trainable[np.ndarray]):
    """The two towers and their inputs."""

    content: torch.Tensor
    collaborative: torch.Tensor
    block = 1024

    def __init__(
        self, settings: Contrastive, train: Interactions, content: Content, factors: Float32[Array, "items factors"]
    ) -> None:
        super().__init__()
        self.settings, self.train_pairs, self.vectors = settings, train, content.vectors
        self.scaling = Scaling.of(settings.scale, content.vectors[train.items])
        self.content_tower = Tower([content.vectors.shape[1], settings.width, settings.width])
        self.collaborative_tower = Tower([factors.shape[1], settings.width, settings.width])
        self.add_table("content", torch.from_numpy(self.scaling(content.vectors)), learned=False)
        self.add_table("collaborative", torch.from_numpy(factors), learned=False)

    def examples(self, pairs: Interactions) -> Int[Array, "n"]:
        """The items of these pairs."""
        return pairs.items

    def forward(self, examples: Int[Array, "n"], rows: Int[Array, "batch"], rng: np.random.Generator) -> torch.Tensor:
        """The contrastive loss of a batch of items."""
        z1, z2 = self.embedded(torch.from_numpy(examples[rows]).to(self.device))
        return contrastive(self.settings.loss, z1, z2, self.settings.temperature, self.settings.sigma, self.block)

    def embedded(self, items: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Content and collaborative unit vectors of these items, each (n, width)."""
        return self.content_tower(self.content[items]), self.collaborative_tower(self.collaborative[items])

    def scorer(self, users: Int[Array, "u"] | None = None) -> ContrastiveScorer:
        """A scorer with the vectors of both towers."""
        content = self.content_tower.embed(self.content)
        collaborative = self.collaborative_tower.embed(self.collaborative)
        known = self.train_pairs.item_users > 0
        collaborative[~known] = 0
        sides = {
            "content items": content,
            "content users": means(self.train_pairs, content),
            "collaborative items": collaborative,
            "collaborative users": means(self.train_pairs, collaborative),
        }
        tower, readout = self.content_tower.frozen(), self.settings.readout
        fitted = ContrastiveScorer(
            sides["content users"], content, tower=tower, scaling=self.scaling, sides=sides, known=known,
            readout="content",
        )  # fmt: skip
        return fitted.reading(readout)

    def moved(self) -> dict[str, float]:
        """Relative change of the content vectors, which are frozen."""
        return {"content": distance(self.content, lambda rows: self.scaling(self.vectors[rows]))}


def _read(readout: ReadOut, sides: dict[str, Float32[Array, "..."]], of: str) -> Float32[Array, "n dim"]:
    """The vectors of a read-out; `of` is `users` or `items`."""
    if readout != "average":
        return sides[f"{readout} {of}"]
    return (sides[f"content {of}"] + sides[f"collaborative {of}"]) / 2
