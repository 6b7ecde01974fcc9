"""The training loop: batches, early stopping, learning rate schedule, best weights, resumption."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from contextlib import closing, nullcontext
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Generic

import numpy as np
import torch

from timbrec.devices import ran_out
from timbrec.errors import ConfigError
from timbrec.protocols import Workspace
from timbrec.training.averaging import Average
from timbrec.training.judge import batches, judge_of
from timbrec.training.log import Log
from timbrec.training.randomness import rewinding, seeded
from timbrec.training.together import group
from timbrec.training.trainable import E
from timbrec.types import Array, Int

if TYPE_CHECKING:
    from timbrec.data.interactions import Interactions
    from timbrec.data.split import Fold
    from timbrec.training.checkpoint import Checkpoint, Tensors
    from timbrec.training.judge import Judge
    from timbrec.training.settings import TrainingSettings
    from timbrec.training.together import Group
    from timbrec.training.trainable import Trainable

OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adam": partial(torch.optim.Adam, fused=True),
    "nadam": torch.optim.NAdam,
}
_DROP = 0.1  # factor of the learning rate on a plateau
_LOG = logging.getLogger(__name__)


@dataclass
class Course:
    """The history of a training: epochs trained, the best epoch and its value, the epochs after which the learning
    rate fell, and a log entry per epoch."""

    epoch: int = 0
    best_epoch: int = 0
    best: float = math.nan
    lr_drops: list[int] = field(default_factory=list)
    log: list[dict[str, Any]] = field(default_factory=list)

    @property
    def chosen(self) -> dict[str, Any]:
        """Settings for a refit without validation; empty if there was no judge."""
        drops = tuple(drop for drop in self.lr_drops if drop < self.best_epoch)
        return {"epochs": self.best_epoch, "lr_drops": drops} if self.best_epoch else {}


def train_model(
    model: Trainable[E],
    settings: TrainingSettings,
    pairs: Interactions,
    validation: Fold | None,
    seed: int,
    workspace: Workspace,
    checkpoint: Checkpoint | None,
) -> Course:
    """Train `model` in place. It ends with the weights of the best epoch, or of the last one without a judge; with
    `average`, with their averages.

    The training is saved to `checkpoint` after every epoch, if there is one, and resumed from it. On a CPU the same
    seed gives the same bits, whether the training was resumed or not. Raises ConfigError if the loss, a weight or the
    judge's value is not finite, if memory runs out, and for a checkpoint of other settings.

    In a process that leads others (together.py), a model that divides is trained by all of them, each with its share of
    every batch; the loss and its gradient are those of the whole batch.
    """
    processes = group() if model.divides else None
    saved = checkpoint.load() if checkpoint is not None else None
    if processes is not None:
        processes.share((_help, (model, settings, pairs, validation, seed, saved)))
    return _train(model, settings, pairs, validation, seed, workspace, checkpoint, saved, processes)


def _help(
    model: Trainable[E], settings: TrainingSettings, pairs: Interactions, validation: Fold | None, seed: int,
    saved: tuple[Tensors, dict[str, Any]] | None,
) -> None:  # fmt: skip
    """Take part in a training that another process leads."""
    processes = group()
    if processes is not None:
        _train(model.to(processes.device), settings, pairs, validation, seed, Workspace(), None, saved, processes)


def _train(
    model: Trainable[E],
    settings: TrainingSettings,
    pairs: Interactions,
    validation: Fold | None,
    seed: int,
    workspace: Workspace,
    checkpoint: Checkpoint | None,
    saved: tuple[Tensors, dict[str, Any]] | None,
    processes: Group | None,
) -> Course:
    judge = judge_of(settings, validation, model.can_rank_cold)
    training = _Training(model, settings, judge, workspace, checkpoint, processes)
    if saved is not None:
        training.resume(saved)
    examples = model.examples(pairs)
    with closing(Log(workspace.folder, training.course.log)) as log:
        while training.continues:
            with seeded(seed, training.course.epoch + 1) as rng:
                log.write(training.epoch(examples, rng))
    training.report_end(examples)
    if training.judge is not None:
        model.load_state_dict(training.best)
    elif training.average is not None:
        training.average.swap()
    return training.course


class _Training(Generic[E]):
    """A model with its optimiser, schedule and history."""

    def __init__(
        self,
        model: Trainable[E],
        settings: TrainingSettings,
        judge: Judge | None,
        workspace: Workspace,
        checkpoint: Checkpoint | None,
        processes: Group | None,
    ) -> None:
        self.model, self.settings, self.judge, self.workspace = model, settings, judge, workspace
        self.checkpoint, self.processes = checkpoint, processes
        self.call = model if processes is None else processes.replica(model)
        self.optimizer = OPTIMIZERS[settings.optimizer](model.parameters(), settings.lr)
        self.plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(
            self.optimizer, "max" if judge and judge.rises else "min", factor=_DROP, patience=settings.plateau
        )
        self.average = Average(model) if settings.average else None
        self.course, self.best = Course(), _copy(model.state_dict())

    @property
    def continues(self) -> bool:
        """Whether another epoch follows."""
        waited = self.course.epoch - self.course.best_epoch if self.judge else 0
        return self.course.epoch < self.settings.epochs and waited < self.settings.patience

    def epoch(self, examples: E, rng: np.random.Generator) -> dict[str, Any]:
        """Train, judge and save an epoch; returns its log entry."""
        began, course = time.perf_counter(), self.course
        lr = self._set_lr()
        loss = self._learn(examples, rng)
        course.epoch += 1
        entry: dict[str, Any] = {"epoch": course.epoch, "loss": loss, "lr": lr}
        if self.judge is not None:
            entry[self.judge.name] = self._judged(self.judge, loss, rng)
        course.log.append(entry | {"seconds": round(time.perf_counter() - began, 3)})
        if self.checkpoint is not None:
            self.checkpoint.save(self._tensors(), {"course": asdict(course), "plateau": self.plateau.state_dict()})
        return course.log[-1]

    def report_end(self, examples: E) -> None:
        """Report all steps as done if training stopped early."""
        if self.course.epoch < self.settings.epochs:
            total = self.settings.epochs * len(batches(len(examples), self.settings.batch))
            self.workspace.report(f"stopped after epoch {self.course.epoch}", total, total)

    def _set_lr(self) -> float:
        """Set and return the next epoch's learning rate; without a judge, by the drops in the settings."""
        drops = self.course.lr_drops if self.judge else self.settings.lr_drops
        lr = self.settings.lr * _DROP ** sum(drop <= self.course.epoch for drop in drops)
        for parameters in self.optimizer.param_groups:
            parameters["lr"] = lr
        return lr

    def _learn(self, examples: E, rng: np.random.Generator) -> float:
        """Train on all examples once; returns the mean of the batches' losses."""
        self.model.train()
        if self.processes is not None:  # dropout must differ between shares
            torch.manual_seed((torch.initial_seed() + self.processes.rank) % 2**63)
        order = batches(len(examples), self.settings.batch, rng if self.settings.shuffle else None)
        losses: list[float] = []
        for rows in order:
            losses.append(self._step(examples, rows, rng, len(losses) + 1))
            done = self.course.epoch * len(order) + len(losses)
            if self.average is not None:
                self.average.add(done)
            self.workspace.report(self._words(losses[-1]), done, self.settings.epochs * len(order))
        if not all(bool(weights.isfinite().all()) for weights in self.model.parameters()):
            raise self._diverged("a weight is not finite", f"step {len(order)} of epoch {self.course.epoch + 1}")
        return float(np.mean(losses))

    def _step(self, examples: E, rows: Int[Array, "batch"], rng: np.random.Generator, step: int) -> float:
        """Take a step of the optimiser; if memory runs out, repeat it in blocks of half the size."""
        while True:
            rewind = rewinding(rng)
            try:
                return self._update(*self._loss(examples, rows, rng), step)
            except (RuntimeError, MemoryError) as error:
                if not ran_out(error):
                    raise
                if self.processes is not None:  # the others wait for this process, which must therefore end
                    raise RuntimeError(f"process {self.processes.rank} ran out of memory: lower `batch`") from error
                if self.model.block <= 1:
                    where = f"step {step} of epoch {self.course.epoch + 1}"
                    what = f"{type(self.settings).__name__} ran out of memory in {where}"
                    raise ConfigError(what, example=f"{len(rows)} examples", fix="Lower `batch`.") from error
            self.model.block //= 2
            rewind()  # to draw the same negatives, masks and dropout again
            _LOG.warning("out of memory in step %d: working in blocks of %d from now on", step, self.model.block)

    def _loss(self, examples: E, rows: Int[Array, "batch"], rng: np.random.Generator) -> tuple[torch.Tensor, float]:
        """The loss to derive, and the mean loss of the batch: with several processes, the mean over all shares."""
        if self.processes is None:
            loss = self.call(examples, rows, rng)
            return loss, loss.item()
        self.model.share = self.processes.rows(len(rows))
        loss, self.model.share = self.call(examples, rows, rng), None
        terms = self.model.terms
        summed, total = self.processes.total(loss.item() * terms, terms)
        return loss * (terms * self.processes.size / total), summed / total

    def _update(self, loss: torch.Tensor, value: float, step: int) -> float:
        if not math.isfinite(value):
            raise self._diverged(f"the loss is {value}", f"step {step} of epoch {self.course.epoch + 1}")
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return value

    def _judged(self, judge: Judge, loss: float, rng: np.random.Generator) -> float:
        """The judge's value of the epoch; keeps the best weights and notes drops of the learning rate."""
        course, lr = self.course, self.optimizer.param_groups[0]["lr"]
        self.model.eval()
        with torch.no_grad(), self.average.served() if self.average else nullcontext():
            value = judge.value(self.model, loss, rng)
            if not math.isfinite(value):
                raise self._diverged(f"the {judge.name} is {value}", f"after epoch {course.epoch}")
            if judge.prefers(value, course.best, self.settings.least_gain):
                course.best, course.best_epoch, self.best = value, course.epoch, _copy(self.model.state_dict())
        self.plateau.step(value)
        if self.optimizer.param_groups[0]["lr"] < lr:
            course.lr_drops.append(course.epoch)
        return value

    def _words(self, loss: float) -> str:
        judged = (
            "" if not self.course.best_epoch or self.judge is None else f", {self.judge.name} {self.course.best:.4f}"
        )
        return f"epoch {self.course.epoch + 1}: loss {loss:.4f}{judged}"

    def _diverged(self, what: str, when: str) -> ConfigError:
        lr, kept = self.optimizer.param_groups[0]["lr"], ""
        if self.checkpoint is not None and self.checkpoint.path.exists():
            kept = f" The checkpoint of the last good epoch is {self.checkpoint.path}."
        return ConfigError(
            f"training {type(self.settings).__name__} diverged: {what} ({when}, learning rate {lr:g})",
            fix=f"Lower `lr`, or look at the vectors.{kept}",
        )

    def resume(self, saved: tuple[Tensors, dict[str, Any]]) -> None:
        """Continue from the tensors and facts of a checkpoint."""
        tensors, facts = saved
        self.course = Course(**facts["course"])
        if self.course.epoch > self.settings.epochs:
            raise ConfigError(
                f"the checkpoint is of epoch {self.course.epoch}, past the last one",
                example=f"epochs: {self.settings.epochs}",
                fix="Train in another folder, or move the checkpoint away; it was not changed.",
            )
        self.plateau.load_state_dict(facts["plateau"])
        self.model.load_state_dict(_part(tensors, "model"))
        self.best = _part(tensors, "best")
        if self.average is not None:
            self.average.weights = _part(tensors, "average")
        state: dict[int, Tensors] = {}
        for name, tensor in _part(tensors, "optimizer").items():
            number, key = name.split("/")
            state.setdefault(int(number), {})[key] = tensor
        self.optimizer.load_state_dict(self.optimizer.state_dict() | {"state": state})

    def _tensors(self) -> Tensors:
        """The tensors that `resume` reads."""
        optimizer = self.optimizer.state_dict()["state"]
        parts = {"model": self.model.state_dict(), "best": self.best if self.judge else {}}
        parts |= {"average": self.average.weights if self.average else {}}
        parts |= {f"optimizer/{number}": state for number, state in optimizer.items()}
        return {f"{part}/{name}": tensor for part, tensors in parts.items() for name, tensor in tensors.items()}


def _copy(tensors: Tensors) -> Tensors:
    return {name: tensor.detach().clone() for name, tensor in tensors.items()}


def _part(tensors: Tensors, part: str) -> Tensors:
    return {name.removeprefix(f"{part}/"): tensor for name, tensor in tensors.items() if name.startswith(f"{part}/")}
