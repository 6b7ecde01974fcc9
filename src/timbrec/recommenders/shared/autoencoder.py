"""A linear autoencoder x -> xAA^T - x of users' histories: the base of ELSA and Hybrid."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from timbrec.data.interactions import Interactions
from timbrec.recommenders.shared.losses import nmse
from timbrec.training import Trainable
from timbrec.types import Array, Int

Targets = Literal["train", "catalogue"]


@dataclass(frozen=True, eq=False)
class Histories:
    """The training examples: users with at least one item, each with all their items."""

    pairs: Interactions

    def __len__(self) -> int:
        return len(self.pairs.users)

    def csr(self, rows: Int[Array, "batch"]) -> tuple[Int[Array, "batch_plus_1"], Int[Array, "m"]]:
        """The users' items as (starts, items): user u has items[starts[u]:starts[u + 1]]."""
        users = self.pairs.users[rows]
        return np.concatenate([[0], np.cumsum(self.pairs.user_items[users])]), self.pairs.of_users(users)[1]


class Autoencoder(Trainable[Histories]):
    """A model with the score xAA^T - x, where the rows of A have norm 1.

    `columns` are the items of x: the train items, or as in the paper the whole catalogue, in which cold items are
    always zero.
    """

    divides = True
    block = 256

    def __init__(self, targets: Targets, train: Interactions) -> None:
        super().__init__()
        self.train_pairs = train
        self.columns = train.items if targets == "train" else np.arange(train.n_items)
        self.column_of = np.full(train.n_items, -1)
        self.column_of[self.columns] = np.arange(len(self.columns))

    @abstractmethod
    def vectors(self) -> torch.Tensor:
        """A (columns, dim), with rows of norm 1."""

    def examples(self, pairs: Interactions) -> Histories:
        """The users of these pairs with their histories."""
        return Histories(pairs)

    def forward(self, examples: Histories, rows: Int[Array, "batch"], rng: np.random.Generator) -> torch.Tensor:
        """The normalised mean squared error of the reconstruction."""
        rows = rows if self.share is None else rows[self.share]
        self.terms = len(rows)
        starts, items = examples.csr(rows)
        columns = torch.from_numpy(self.column_of[items]).to(self.device)
        return nmse(torch.from_numpy(starts).to(self.device), columns, self.vectors(), len(self.columns), self.block)
