"""What the training loop trains."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from timbrec.types import Array, Int

if TYPE_CHECKING:
    from timbrec.data.interactions import Interactions
    from timbrec.training.scorer import TrainedScorer


class Trainable(nn.Module, ABC):
    """A model under training. Calling it gives the mean loss of some examples.

    The loop does nothing else with it in a step, and `TrainedRecommender.fit` alone moves it to a device, so a
    maintained library that spreads a module over several devices can be put around it in these two places.

    `block` bounds how much is worked on at once: it changes the memory, and the result by rounding alone.
    """

    can_rank_cold: bool = True
    block: int = 1

    @abstractmethod
    def examples(self, pairs: Interactions) -> Any:
        """The examples of these pairs, with a length."""

    @abstractmethod
    def forward(self, examples: Any, rows: Int[Array, "batch"], rng: np.random.Generator) -> torch.Tensor:
        """The mean loss of the examples at these rows, as a scalar; randomness (negatives, masks) from `rng`."""

    @abstractmethod
    def scorer(self, users: Int[Array, "u"] | None = None) -> TrainedScorer:
        """The model as it is served now. With `users`, only their scores will be asked for."""

    def moved(self) -> dict[str, float]:
        """How far training moved each table of vectors: |now - start| / |start|, exactly 0 for a frozen one."""
        return {}

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        return next(self.parameters()).device

    def add_table(self, name: str, start: torch.Tensor, learned: bool) -> None:
        """A table of vectors: a parameter if it is learned, else a buffer, which no optimiser sees."""
        if learned:
            self.register_parameter(name, nn.Parameter(start.clone()))
        else:
            self.register_buffer(name, start, persistent=False)


def distance(now: torch.Tensor, start: Array) -> float:
    """|now - start| / |start| (Frobenius); 0.0 only if no bit differs."""
    before = torch.from_numpy(start)
    after = now.detach().cpu()
    if torch.equal(after, before):
        return 0.0
    return float((after - before).norm() / before.norm().clamp(min=torch.finfo(before.dtype).tiny))
