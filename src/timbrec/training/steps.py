"""Steps of the optimiser: the loss of a batch, its gradient and the update, within the available memory."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Generic

import numpy as np
import torch

from timbrec.errors import ConfigError
from timbrec.machine.devices import ran_out
from timbrec.training.checkpoint import joined
from timbrec.training.randomness import rewinding
from timbrec.training.row_adam import RowAdam
from timbrec.training.trainable import E
from timbrec.types import Array, Int

if TYPE_CHECKING:
    from timbrec.training.checkpoint import Tensors
    from timbrec.training.settings import TrainingSettings
    from timbrec.training.together import Group
    from timbrec.training.trainable import Trainable

OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adam": RowAdam,
    "nadam": torch.optim.NAdam,
}
_LOG = logging.getLogger(__name__)


class DivergedError(Exception):
    """A loss, a weight or a value that is not finite; `when` is a place in the training."""

    def __init__(self, reason: str, when: str) -> None:
        super().__init__(reason, when)
        self.reason, self.when = reason, when


class Steps(Generic[E]):
    """The optimiser of a model, which takes a step per batch, in one process or in a group of them."""

    def __init__(self, model: Trainable[E], settings: TrainingSettings, processes: Group | None = None) -> None:
        self.model, self.settings, self.processes = model, settings, processes
        self._call = model if processes is None else processes.replica(model)
        self.optimizer = OPTIMIZERS[settings.optimizer](model.parameters(), settings.lr)

    @property
    def lr(self) -> float:
        """The current learning rate."""
        rate: float = self.optimizer.param_groups[0]["lr"]
        return rate

    @lr.setter
    def lr(self, rate: float) -> None:
        for parameters in self.optimizer.param_groups:
            parameters["lr"] = rate

    def take(self, examples: E, rows: Int[Array, "batch"], rng: np.random.Generator, when: str) -> float:
        """Take the step of the examples at `rows` and return their mean loss.

        If memory runs out, the step is repeated in blocks of half the size, with the same random numbers. Raises
        ConfigError if blocks of one row are too large, and DivergedError for a loss that is not finite.
        """
        while True:
            rewind = rewinding(rng)
            try:
                return self._update(*self._loss(examples, rows, rng), when)
            except (RuntimeError, MemoryError) as error:
                if not ran_out(error):
                    raise
                if self.processes is not None:  # the others wait for this process, which must therefore end
                    raise RuntimeError(f"process {self.processes.rank} ran out of memory: lower `batch`") from error
                if self.model.block <= 1:
                    what = f"{type(self.settings).__name__} ran out of memory in {when}"
                    raise ConfigError(what, example=f"{len(rows)} examples", fix="Lower `batch`.") from error
            self.model.block //= 2
            rewind()  # to draw the same negatives, masks and dropout again
            _LOG.warning("out of memory in %s: working in blocks of %d from now on", when, self.model.block)

    def state(self) -> Tensors:
        """The optimiser's state, each tensor named `number/key` by the number of its parameter."""
        return joined({str(number): state for number, state in self.optimizer.state_dict()["state"].items()})

    def load(self, tensors: Tensors) -> None:
        """Continue from the tensors of `state`."""
        state: dict[int, Tensors] = {}
        for name, tensor in tensors.items():
            number, key = name.split("/")
            state.setdefault(int(number), {})[key] = tensor
        self.optimizer.load_state_dict(self.optimizer.state_dict() | {"state": state})

    def _loss(self, examples: E, rows: Int[Array, "batch"], rng: np.random.Generator) -> tuple[torch.Tensor, float]:
        """The loss to differentiate, and the mean loss of the batch; with several processes, the mean over all
        shares."""
        if self.processes is None:
            loss = self._call(examples, rows, rng)
            return loss, loss.item()
        self.model.share = self.processes.rows(len(rows))
        loss, self.model.share = self._call(examples, rows, rng), None
        terms = self.model.terms
        summed, total = self.processes.total(loss.item() * terms, terms)
        return loss * (terms * self.processes.size / total), summed / total

    def _update(self, loss: torch.Tensor, value: float, when: str) -> float:
        if not math.isfinite(value):
            raise DivergedError(f"the loss is {value}", when)
        try:
            loss.backward()
            self.optimizer.step()
        finally:
            self.optimizer.zero_grad()  # also after an error; and no gradient takes memory between steps
        return value
