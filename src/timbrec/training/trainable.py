"""The base class of models that the training loop trains."""

from __future__ import annotations

import math
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Sized
from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar

import numpy as np
import torch
from torch import nn

from timbrec.types import Array, Float32, Int

if TYPE_CHECKING:
    from timbrec.data.interactions import Interactions
    from timbrec.training.scorer import TrainedScorer

_ROWS = 8192  # rows of a table that are compared at once
E = TypeVar("E", bound=Sized)  # the examples of a model, such as pairs, items or histories


class Trainable(nn.Module, ABC, Generic[E]):
    """A model under training. Calling it returns the mean loss of some examples.

    A model that `divides` can be trained by several processes: it draws random numbers for all rows of a batch, and
    computes only the rows at `share` (None: all). `terms` is the number of terms in the mean of its last loss.

    `block` bounds the number of rows processed at once. It changes the memory, and the result only by rounding.
    """

    divides: ClassVar[bool] = False
    can_rank_cold: bool = True
    block: int = 1
    share: slice | None = None
    terms: int = 0

    @abstractmethod
    def examples(self, pairs: Interactions) -> E:
        """The training examples of these pairs."""

    @abstractmethod
    def forward(self, examples: E, rows: Int[Array, "batch"], rng: np.random.Generator) -> torch.Tensor:
        """The mean loss of the examples at these rows, as a scalar; randomness (negatives, masks) from `rng`."""

    @abstractmethod
    def scorer(self, users: Int[Array, "u"] | None = None) -> TrainedScorer:
        """A scorer of the model's current state. With `users`, it may be one that only ranks, for these users."""

    def moved(self) -> dict[str, float]:
        """Relative change of each table of vectors: |now - start| / |start|, exactly 0 for a frozen table."""
        return {}

    @property
    def device(self) -> torch.device:
        """The device of the parameters."""
        return next(self.parameters()).device

    def add_table(self, name: str, start: torch.Tensor, learned: bool) -> None:
        """Add a table of vectors: a parameter if it is learned, else a buffer, which no optimiser sees."""
        if learned:
            self.register_parameter(name, nn.Parameter(start.clone()))
        else:
            self.register_buffer(name, start, persistent=False)


def distance(now: torch.Tensor, start: Callable[[slice], Float32[Array, "n dim"]]) -> float:
    """|now - start| / |start| in the Frobenius norm; 0.0 only if all values are equal.

    `start` returns rows of the table before training: a whole one would take as much memory as the table itself.
    """
    moved = before = 0.0
    for first in range(0, len(now), _ROWS):
        rows = slice(first, first + _ROWS)
        then = start(rows).astype(np.float64)
        moved += float(np.square(now[rows].detach().cpu().numpy() - then).sum())
        before += float(np.square(then).sum())
    return math.sqrt(moved / max(before, sys.float_info.min))
