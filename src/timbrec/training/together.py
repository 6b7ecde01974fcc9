"""Training by several processes at once, one per GPU or per few cores, through Lightning Fabric.

`torchrun` starts the processes. The first of them, the leader, runs the command as if it were alone; the others wait
for trainings and take their share of every batch. `timbrec[fabric]` installs Fabric.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from timbrec.errors import ConfigError, TimbrecError


class Group:
    """The processes of a training. `size` is their number, `rank` the place of this one; the leader's is 0."""

    def __init__(self, accelerator: str = "auto") -> None:
        fabric = _fabric()
        from lightning_fabric.strategies.ddp import DDPStrategy

        here = int(os.environ.get("LOCAL_WORLD_SIZE", os.environ["WORLD_SIZE"]))
        self._fabric = fabric(
            accelerator=accelerator,
            strategy=DDPStrategy(broadcast_buffers=False),
            devices=here,
            num_nodes=int(os.environ["WORLD_SIZE"]) // here,
        )
        self._fabric.launch()
        self.size: int = self._fabric.world_size
        self.rank: int = self._fabric.global_rank
        self.device: torch.device = self._fabric.device

    def replica(self, model: nn.Module) -> Callable[..., torch.Tensor]:
        """A function that calls the model; gradients are then averaged over the processes."""
        wrapped = self._fabric.setup_module(_Called(model), move_to_device=False)
        return lambda *arguments: wrapped(_Arguments(arguments))

    def total(self, *values: float) -> list[float]:
        """The sums of some numbers over the processes."""
        numbers = torch.tensor(values, dtype=torch.float64, device=self.device)
        sums: torch.Tensor = self._fabric.all_reduce(numbers, reduce_op="sum")
        return sums.tolist()

    def share(self, value: Any) -> Any:
        """The leader's value, in every process."""
        return self._fabric.broadcast(value)

    def rows(self, count: int) -> slice:
        """The rows of a batch of `count` that this process computes; all of them if there are fewer than processes."""
        if count < self.size:
            return slice(0, count)
        return slice(count * self.rank // self.size, count * (self.rank + 1) // self.size)


class _Arguments:
    """Arguments of a model as an object that Fabric does not look into."""

    def __init__(self, arguments: tuple[Any, ...]) -> None:
        self.arguments = arguments


class _Called(nn.Module):
    """A model that takes its arguments as one object."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, given: _Arguments) -> torch.Tensor:
        """Call the model."""
        loss: torch.Tensor = self.model(*given.arguments)
        return loss


_groups: list[Group] = []  # the group of this process, while there is one


def group() -> Group | None:
    """The group that this process leads or belongs to; None alone."""
    return _groups[-1] if _groups else None


def launched() -> bool:
    """Whether torchrun started this process together with others."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1 and "RANK" in os.environ


@contextmanager
def leading(accelerator: str = "auto") -> Iterator[bool]:
    """Join the processes that torchrun started; yields whether this one leads, or is alone.

    In other processes the block must do nothing: they have served the leader's trainings until the end. Raises
    ConfigError without Fabric.
    """
    if not launched():
        yield True
        return
    own = Group(accelerator)
    _groups.append(own)
    try:
        if own.rank:
            _serve(own)
        yield own.rank == 0
        if own.rank == 0:  # not after an error: torchrun ends processes that wait for one that failed
            own.share(None)
    finally:
        _groups.remove(own)


def _serve(own: Group) -> None:
    """Take part in the leader's trainings until it sends None. An error that all processes meet ends a training."""
    while (training := own.share(None)) is not None:
        call, arguments = training
        try:
            call(*arguments)
        except TimbrecError:
            continue


def _fabric() -> Any:
    try:
        from lightning_fabric import Fabric
    except ImportError as error:
        raise ConfigError(
            "training by several processes needs Lightning Fabric", fix='Install it: pip install "timbrec[fabric]".'
        ) from error
    return Fabric
