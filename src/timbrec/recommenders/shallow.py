"""Shallow Net: users and items through one shared layer, ranked by cosine (Tamm & Aljanaki 2024, 2026)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch.utils.checkpoint import checkpoint

from timbrec.data.interactions import Interactions
from timbrec.protocols import Content, Workspace
from timbrec.recommenders.shared.scaling import Scale, Scaling
from timbrec.recommenders.shared.sparse import means, pair_scores
from timbrec.recommenders.shared.towers import Tower
from timbrec.settings import Count, Positive
from timbrec.training import Trainable, TrainedRecommender, TrainedScorer, negatives
from timbrec.training.trainable import distance
from timbrec.types import Array, Float32, Int

Table = Literal["users", "items"]


@dataclass(frozen=True)
class ShallowNet(TrainedRecommender):
    """Two tables of vectors, one Linear(dim, width) + ReLU on both, score = cosine.

    The item table holds the content, the user table starts at the mean of each user's train items; `learned` names
    the tables that training changes, the layer is always learned. The loss is a hinge: every pair of a user and an
    item should score `margin` above each of `negatives` users drawn for the item, out of `any` users or of those who
    have not played it (`unplayed`). `confidence` weights a pair by 1 + 2 log(1 + plays). `width` None keeps the
    content's dimension. An example is a pair.
    """

    version: ClassVar[int] = 4
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "tamm2026": {
            "learned": ("items",), "negative_users": "any", "scale": "none", "stop_on": "validation loss", "lr": 1e-3,
            "width": None, "negatives": 20, "patience": 16,
        },
    }  # fmt: skip

    lr: Positive = 1e-2
    patience: Count = 6
    learned: tuple[Table, ...] = ("users",)
    negatives: Count = 5
    negative_users: Literal["any", "unplayed"] = "unplayed"
    margin: Positive = 0.2
    confidence: bool = False
    scale: Scale = "standardise"
    width: Count | None = 256

    def model(
        self, train: Interactions, content: Content, rng: np.random.Generator, workspace: Workspace = Workspace()
    ) -> ShallowModel:
        """The tables and the layer."""
        return ShallowModel(self, train, content)


@dataclass(frozen=True, eq=False, kw_only=True)
class ShallowScorer(TrainedScorer):
    """`table` is the item table, from which users that were not trained start, and stay."""

    tower: Tower
    scaling: Scaling
    table: Float32[Array, "items dim_in"]

    def user_vectors(self, histories: Interactions) -> Float32[Array, "users width"]:
        """The tower of the mean of their items' table rows: where a user's training would start."""
        return self.tower.embed(means(histories, self.table))

    def add_items(self, vectors: Float32[Array, "n dim"]) -> ShallowScorer:
        """The same scorer with new items behind the old ones, by their content vectors."""
        new = self.scaling(vectors)
        items = np.concatenate([self.items, self.tower.embed(new)])
        return replace(self, items=items, table=np.concatenate([self.table, new]))


class ShallowModel(Trainable[Interactions]):
    """The model under training; `drawn` counts how often each user stood as a negative."""

    users: torch.Tensor
    items: torch.Tensor
    drawn: torch.Tensor

    def __init__(self, settings: ShallowNet, train: Interactions, content: Content) -> None:
        super().__init__()
        self.settings, self.train_pairs, self.content = settings, train, content
        self.block = settings.batch
        self.scaling = Scaling.of(settings.scale, content.vectors[train.items])
        self.tower = Tower([content.vectors.shape[1], settings.width or content.vectors.shape[1]], closed=True)
        for name, start in self._starts().items():
            self.add_table(name, torch.from_numpy(start), name in settings.learned)
        self.unplayed = negatives.Unplayed(train) if settings.negative_users == "unplayed" else None
        self.register_buffer("drawn", torch.zeros(train.n_users, dtype=torch.int64))

    def examples(self, pairs: Interactions) -> Interactions:
        """The pairs themselves."""
        return pairs

    def forward(self, examples: Interactions, rows: Int[Array, "batch"], rng: np.random.Generator) -> torch.Tensor:
        """Mean over pairs and their negatives of weight max(0, margin - positive + negative)."""
        users, items, plays = (column[rows] for column in (examples.user, examples.item, examples.plays))
        against = np.concatenate([users[:, None], self._negatives(items, rng)], axis=1)
        if self.block >= len(rows):
            return self._hinge(items, against, plays) / len(rows)
        blocks = [np.s_[start : start + self.block] for start in range(0, len(rows), self.block)]
        parts = [
            checkpoint(self._hinge, items[one], against[one], plays[one], use_reentrant=False, preserve_rng_state=False)
            for one in blocks
        ]
        return torch.stack(parts).sum() / len(rows)

    def _hinge(self, items: Int[Array, "n"], users: Int[Array, "n k"], plays: Int[Array, "n"]) -> torch.Tensor:
        """The sum over pairs of their mean hinge; the first of an item's users has played it, the others have not."""
        scores = self.scores(items, users)
        hinge = (self.settings.margin - scores[:, :1] + scores[:, 1:]).clamp(min=0).mean(1)
        if self.settings.confidence:
            hinge = hinge * torch.from_numpy(1 + 2 * np.log1p(plays)).to(hinge)
        return hinge.sum()

    def scores(self, items: Int[Array, "n"], users: Int[Array, "n k"]) -> torch.Tensor:
        """(n, k) cosines of each item with its users; the tower sees every distinct user and item once."""
        item_rows, item_places = _distinct(items, len(self.items))
        user_rows, user_places = _distinct(users, len(self.users))
        return pair_scores(
            self.tower(self.items[item_rows.to(self.device)]),
            self.tower(self.users[user_rows.to(self.device)]),
            item_places.to(self.device),
            user_places.to(self.device),
        )

    def scorer(self, users: Int[Array, "u"] | None = None) -> ShallowScorer:
        """Both tables through the tower."""
        tables = self.tower.embed(self.users), self.tower.embed(self.items)
        drawn = {"users drawn as negatives": float((self.drawn > 0).double().mean())}
        table = self.items.detach().cpu().numpy()
        return ShallowScorer(*tables, tower=self.tower.frozen(), scaling=self.scaling, table=table, found=drawn)

    def moved(self) -> dict[str, float]:
        """Of the user and of the item table."""
        return {name: distance(getattr(self, name), start) for name, start in self._starts().items()}

    def _starts(self) -> dict[Table, Float32[Array, "..."]]:
        content = self.scaling(self.content.vectors)
        return {"users": means(self.train_pairs, content), "items": content}

    def _negatives(self, items: Int[Array, "n"], rng: np.random.Generator) -> Int[Array, "n k"]:
        if self.unplayed is not None:
            users = self.unplayed.users(rng, items, self.settings.negatives)
        else:
            shape = (len(items), self.settings.negatives)
            users = negatives.sample_negatives(rng, shape, self.train_pairs.n_users)
        self.drawn += torch.from_numpy(np.bincount(users.ravel(), minlength=len(self.drawn))).to(self.device)
        return users


def _distinct(rows: Int[Array, "*shape"], n: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The distinct ones among rows of range(n), ascending, and the place of each row among them."""
    present = np.zeros(n, bool)
    present[rows] = True
    return torch.from_numpy(np.flatnonzero(present)), torch.from_numpy((np.cumsum(present) - 1)[rows])
