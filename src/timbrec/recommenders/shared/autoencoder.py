"""What ELSA and Hybrid share: a linear autoencoder x -> xAA^T - x over users' histories, A with unit rows."""

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
    """The users who have played something; an example is one of them with all they played."""

    pairs: Interactions

    def __len__(self) -> int:
        return len(self.pairs.users)

    def csr(self, rows: Int[Array, "batch"]) -> tuple[Int[Array, "batch_plus_1"], Int[Array, "m"]]:
        """The items of these users one after the other, and where each user's start."""
        users = self.pairs.users[rows]
        return np.concatenate([[0], np.cumsum(self.pairs.user_items[users])]), self.pairs.of_users(users)[1]


class Autoencoder(Trainable[Histories]):
    """`columns` are the items that x and its reconstruction have: those in train, or, as in the study, all of the
    catalogue, where the cold ones are targets of zero."""

    block = 256

    def __init__(self, targets: Targets, train: Interactions) -> None:
        super().__init__()
        self.train_pairs = train
        self.columns = train.items if targets == "train" else np.arange(train.n_items)
        self.column_of = np.full(train.n_items, -1)
        self.column_of[self.columns] = np.arange(len(self.columns))

    @abstractmethod
    def vectors(self) -> torch.Tensor:
        """A: (columns, dim) with unit rows."""

    def examples(self, pairs: Interactions) -> Histories:
        """Users with their histories."""
        return Histories(pairs)

    def forward(self, examples: Histories, rows: Int[Array, "batch"], rng: np.random.Generator) -> torch.Tensor:
        """The NMSE of the reconstruction."""
        starts, items = examples.csr(rows)
        columns = torch.from_numpy(self.column_of[items]).to(self.device)
        return nmse(torch.from_numpy(starts).to(self.device), columns, self.vectors(), len(self.columns), self.block)
