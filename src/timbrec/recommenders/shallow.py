"""Shallow Net: one layer maps users and items into the same space (Tamm & Aljanaki 2024, 2026)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, get_args

import numpy as np
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from timbrec.data.interactions import Interactions
from timbrec.protocols import Content, Workspace
from timbrec.recommenders.shared.scaling import Scale, Scaling
from timbrec.recommenders.shared.sparse import means, pair_scores
from timbrec.recommenders.shared.towers import Tower
from timbrec.settings import Count, Positive
from timbrec.training import Trainable, TrainedRecommender, TrainedScorer, negatives
from timbrec.training.recommender import BATCH
from timbrec.training.scorer import ChosenUsersScorer
from timbrec.training.trainable import distance
from timbrec.types import Array, Float32, Int

Table = Literal["users", "items"]


@dataclass(frozen=True)
class ShallowNet(TrainedRecommender):
    """Score = cosine of a user's and an item's vector, each Linear(dim, width) + ReLU of its row in a table.

    The item table holds the content vectors; a user's row starts at the mean of their train items. The layer is always
    learned; `learned` names the tables that are learned too. The training examples are (user, item) pairs, and the
    loss is a hinge: a pair should score `margin` higher than the item with each of `negatives` sampled users.

    - `negative_users`: sample from `any` users, or from users who have not played the item (`unplayed`).
    - `confidence`: weight a pair by 1 + 2 log(1 + plays).
    - `width`: output dimension of the layer; None keeps the dimension of the content.
    - `scale`: as for KNN.
    """

    version: ClassVar[int] = 4
    presets: ClassVar[dict[str, dict[str, Any]]] = {
        "tamm2026": {
            "learned": ("items",), "negative_users": "any", "scale": "none", "stop_on": "validation loss", "lr": 1e-3,
            "width": None, "negatives": 20, "patience": 16,
        },
        "quick": {"epochs": 20, "width": 64, "patience": 4},
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
        """The model before training."""
        return ShallowModel(self, train, content)

    def memory(self, n_users: int, n_items: int, dim: int) -> int:
        """Upper bound of the bytes of a training: a learned table as weights, two moments of Adam and perhaps averages,
        the other one once, all mapped vectors, and the distinct rows of a batch with those of the layer."""
        width, learned = self.width or dim, 3 + self.average
        tables = sum(
            rows * (learned if name in self.learned else 1) for name, rows in (("users", n_users), ("items", n_items))
        )
        distinct = min(self.batch * (1 + self.negatives), n_users) + min(self.batch, n_items)
        work = max(4 * distinct * (2 * dim + 5 * width), BATCH)
        return 4 * (tables * dim + (n_users + n_items) * width) + work


@dataclass(frozen=True, eq=False, kw_only=True)
class ShallowScorer(TrainedScorer):
    """A TrainedScorer that also computes vectors of new users and items.

    `table` is the item table: the vector of a new user is computed from the mean of its rows.
    """

    tower: Tower
    scaling: Scaling
    table: Float32[Array, "items dim_in"]

    def user_vectors(self, histories: Interactions) -> Float32[Array, "users width"]:
        """Vectors (histories.n_users, width) of users, from their histories: the values before any training."""
        return self.tower.embed(means(histories, self.table))

    def add_items(self, vectors: Float32[Array, "n dim"]) -> ShallowScorer:
        """A scorer with new items after the present ones, from their content vectors (n, dim)."""
        new = self.scaling(vectors)
        items = np.concatenate([self.items, self.tower.embed(new)])
        return replace(self, items=items, table=np.concatenate([self.table, new]))


@dataclass(frozen=True, eq=False, kw_only=True)
class _ValidationScorer(ChosenUsersScorer):
    """A ChosenUsersScorer of the item table, which maps items when they are ranked.

    A table of all mapped items would be the peak of a fit's memory.
    """

    items: Float32[Array, "items dim_in"]  # before the tower
    tower: Tower
    scaling: Scaling | None

    def item_vectors(self, items: Int[Array, "n"]) -> Float32[Array, "n width"]:
        """The vectors of these items."""
        return self.tower.embed(self.items[items], self.scaling)


class ShallowModel(Trainable[Interactions]):
    """The tables and the layer; `drawn` counts how often each user was sampled as a negative.

    A frozen item table is the content itself, and scaled when it is used: a scaled copy would take as much memory.
    """

    users: torch.Tensor
    items: torch.Tensor
    drawn: torch.Tensor

    def __init__(self, settings: ShallowNet, train: Interactions, content: Content) -> None:
        super().__init__()
        self.settings, self.train_pairs, self.vectors = settings, train, content.vectors
        self.block = settings.batch
        self.scaling = Scaling.of(settings.scale, content.vectors[train.items])
        self.tower = Tower([content.vectors.shape[1], settings.width or content.vectors.shape[1]], closed=True)
        for name in get_args(Table):
            self.add_table(name, torch.from_numpy(self._start(name)), name in settings.learned)
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
        sums = [
            checkpoint(
                self._hinge, items[part], against[part], plays[part], use_reentrant=False, preserve_rng_state=False
            )
            for part in blocks
        ]
        return torch.stack(sums).sum() / len(rows)

    def _hinge(self, items: Int[Array, "n"], users: Int[Array, "n k"], plays: Int[Array, "n"]) -> torch.Tensor:
        """Sum over items of the mean hinge; an item's first user is the positive, the others are negatives."""
        scores = self.scores(items, users)
        hinge = (self.settings.margin - scores[:, :1] + scores[:, 1:]).clamp(min=0).mean(1)
        if self.settings.confidence:
            hinge = hinge * torch.from_numpy(1 + 2 * np.log1p(plays)).to(hinge)
        return hinge.sum()

    def scores(self, items: Int[Array, "n"], users: Int[Array, "n k"]) -> torch.Tensor:
        """(n, k) cosines of each item with its users. The tower is applied once per distinct user and item."""
        item_rows, item_places = _distinct(items, len(self.items))
        user_rows, user_places = _distinct(users, len(self.users))
        return pair_scores(
            self.tower(self._item_vectors(item_rows.to(self.device))),
            self.tower(_rows(self.users, user_rows.to(self.device))),
            item_places.to(self.device),
            user_places.to(self.device),
        )

    def scorer(self, users: Int[Array, "u"] | None = None) -> TrainedScorer:
        """A scorer with both tables mapped by the tower; without `users` a ShallowScorer."""
        scaling = None if self._items_learned else self.scaling
        if users is not None:
            rows, items = self.tower.embed(self.users, rows=users), self.items.detach().cpu().numpy()
            return _ValidationScorer(rows, items=items, chosen_users=users, tower=self.tower, scaling=scaling)
        tables = self.tower.embed(self.users), self.tower.embed(self.items, scaling)
        drawn = {"users drawn as negatives": float((self.drawn > 0).double().mean())}
        table = self.items.detach().cpu().numpy() if self._items_learned else self.scaling(self.vectors)
        return ShallowScorer(*tables, tower=self.tower.frozen(), scaling=self.scaling, table=table, remarks=drawn)

    def moved(self) -> dict[str, float]:
        """Relative change of the user table and of the item table."""
        users, items = self._start("users"), self._start("items")
        return {
            "users": distance(self.users, lambda rows: users[rows]),
            "items": distance(self.items, lambda rows: items[rows]),
        }

    @property
    def _items_learned(self) -> bool:
        return "items" in self.settings.learned

    def _item_vectors(self, rows: torch.Tensor) -> torch.Tensor:
        vectors = _rows(self.items, rows)
        return vectors if self._items_learned else self.scaling.tensor(vectors)

    def _start(self, name: Table) -> Float32[Array, "..."]:
        """A table before training; for a frozen item table the content of the caller."""
        if name == "items" and not self._items_learned:
            return self.vectors
        scaled = self.scaling(self.vectors)
        return scaled if name == "items" else means(self.train_pairs, scaled)

    def _negatives(self, items: Int[Array, "n"], rng: np.random.Generator) -> Int[Array, "n k"]:
        if self.unplayed is not None:
            users = self.unplayed.users(rng, items, self.settings.negatives)
        else:
            shape = (len(items), self.settings.negatives)
            users = negatives.sample_negatives(rng, shape, self.train_pairs.n_users)
        self.drawn += torch.from_numpy(np.bincount(users.ravel(), minlength=len(self.drawn))).to(self.device)
        return users


def _rows(table: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """Rows of a table; the gradient of a learned one is sparse, except on Apple's GPUs, which have none.

    Processes that train together could not average sparse gradients on GPUs (NCCL); this model does not divide.
    """
    return nn.functional.embedding(rows, table, sparse=table.requires_grad and table.device.type != "mps")


def _distinct(rows: Int[Array, "*shape"], n: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The distinct values among `rows`, ascending, and the place of each row among them; rows are below n."""
    present = np.zeros(n, bool)
    present[rows] = True
    return torch.from_numpy(np.flatnonzero(present)), torch.from_numpy((np.cumsum(present) - 1)[rows])
