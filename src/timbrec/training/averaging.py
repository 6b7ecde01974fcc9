"""Averages of a model's weights over the steps of its training."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from timbrec.training.checkpoint import Tensors
    from timbrec.training.trainable import Trainable

_ETA = 8


class Average:
    """Polynomial-decay averaging (Shamir and Zhang 2013, section 4, eta = 8).

    Step t of T has a weight proportional to C(t + 7, 8), so about the last ninth of the steps counts for any T.
    `weights` holds the averages of the parameters by name; after the first step they equal the parameters.
    """

    def __init__(self, model: Trainable[Any]) -> None:
        self.parameters = dict(model.named_parameters())
        self.weights: Tensors = {name: torch.zeros_like(weights) for name, weights in self.parameters.items()}

    def add(self, step: int) -> None:
        """Include the model's weights after step number `step`, counted from 1."""
        share = (_ETA + 1) / (step + _ETA)
        for name, weights in self.parameters.items():
            self.weights[name].lerp_(weights.detach(), share)

    def swap(self) -> None:
        """Exchange the model's weights and the averages."""
        for name, weights in self.parameters.items():
            weights.data, self.weights[name] = self.weights[name], weights.data

    @contextmanager
    def served(self) -> Iterator[None]:
        """Give the model the averages within the `with` block."""
        self.swap()
        try:
            yield
        finally:
            self.swap()
