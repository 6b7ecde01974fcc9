"""The average of a model's weights over the steps of its training."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from timbrec.training.checkpoint import Tensors
    from timbrec.training.trainable import Trainable

_ETA = 8


class Average:
    """Polynomial-decay averaging (Shamir and Zhang 2013, section 4, eta = 8): step t of T weighs C(t + 7, 8), so that
    about the last ninth of the steps counts, however many there were.

    `weights` by name, of the parameters alone; after the first step they are the model's own.
    """

    def __init__(self, model: Trainable) -> None:
        self.parameters = dict(model.named_parameters())
        self.weights: Tensors = {name: torch.zeros_like(weights) for name, weights in self.parameters.items()}

    def add(self, step: int) -> None:
        """The model's weights after step number `step`, counted from 1."""
        share = (_ETA + 1) / (step + _ETA)
        for name, weights in self.parameters.items():
            self.weights[name].lerp_(weights.detach(), share)

    def swap(self) -> None:
        """Give the model the averages, and keep its own weights in their place."""
        for name, weights in self.parameters.items():
            weights.data, self.weights[name] = self.weights[name], weights.data

    @contextmanager
    def served(self) -> Iterator[None]:
        """Within, the model has the averages."""
        self.swap()
        try:
            yield
        finally:
            self.swap()
