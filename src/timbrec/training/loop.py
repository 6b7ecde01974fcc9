"""The training loop: epochs, early stopping, learning rate schedule, best weights, resumption."""

from __future__ import annotations

import math
import time
from contextlib import closing, nullcontext
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Generic

import numpy as np
import torch

from timbrec.errors import ConfigError
from timbrec.protocols import Workspace
from timbrec.training.averaging import Average
from timbrec.training.best import Best
from timbrec.training.checkpoint import joined, part_of
from timbrec.training.judge import batches, judge_of
from timbrec.training.log import Log
from timbrec.training.randomness import seeded
from timbrec.training.steps import DivergedError, Steps
from timbrec.training.together import group
from timbrec.training.trainable import E

if TYPE_CHECKING:
    from timbrec.data.interactions import Interactions
    from timbrec.data.split import Fold
    from timbrec.training.checkpoint import Checkpoint, Tensors
    from timbrec.training.judge import Judge
    from timbrec.training.settings import TrainingSettings
    from timbrec.training.together import Group
    from timbrec.training.trainable import Trainable

_DROP = 0.1  # factor of the learning rate on a plateau
_ELEMENTS = 2**22  # weights that are checked at once


@dataclass(frozen=True)
class Training(Generic[E]):
    """Everything that decides the numbers of a training; processes that train together exchange it."""

    model: Trainable[E]
    settings: TrainingSettings
    pairs: Interactions
    validation: Fold | None
    seed: int


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
    training: Training[E], workspace: Workspace = Workspace(), checkpoint: Checkpoint | None = None
) -> Course:
    """Train the model in place. It ends with the weights of the best epoch, or of the last one without a judge.

    With `average`, the averages of the weights are judged and kept. With a `checkpoint`, the training is saved after
    every epoch, and resumed from it. On a CPU the same seed gives the same bits, whether the training was resumed or
    not. Raises ConfigError if the loss, a weight or the judge's value is not finite, if memory runs out, and for a
    checkpoint of other settings.

    In a process that leads others (together.py), a model that divides is trained by all of them, each with its share of
    every batch; the loss and its gradient are those of the whole batch.
    """
    processes = group() if training.model.divides else None
    saved = checkpoint.load() if checkpoint is not None else None
    if processes is not None:
        processes.share((_help, (training, saved)))
    epochs = _Epochs(training, workspace, checkpoint, processes)
    epochs.best = Best(None if checkpoint is None else checkpoint.folder)
    if saved is not None:
        epochs.resume(saved)
        del saved  # it holds the weights once more
    _run(epochs)
    epochs.serve()
    return epochs.course


def _help(training: Training[E], saved: tuple[Tensors, dict[str, Any]] | None) -> None:
    """Take part in a training that another process leads."""
    processes = group()
    if processes is not None:
        training.model.to(processes.device)
        epochs = _Epochs(training, Workspace(), None, processes)
        if saved is not None:
            epochs.resume(saved)
        _run(epochs)


def _run(epochs: _Epochs[E]) -> None:
    seed, examples = epochs.training.seed, epochs.model.examples(epochs.training.pairs)
    with closing(Log(epochs.workspace.folder, epochs.course.log)) as log:
        while epochs.follow:
            with seeded(seed, epochs.course.epoch + 1) as rng:
                log.write(epochs.run(examples, rng))
    epochs.report_end(examples)


class _Epochs(Generic[E]):
    """The epochs of a training, with the learning rate's schedule and the history.

    `best` keeps the weights to serve; None in a process that helps another one.
    """

    def __init__(
        self, training: Training[E], workspace: Workspace, checkpoint: Checkpoint | None, processes: Group | None
    ) -> None:
        model, settings = training.model, training.settings
        self.training, self.model, self.settings = training, model, settings
        self.workspace, self.checkpoint, self.processes = workspace, checkpoint, processes
        self.judge = judge_of(settings, training.validation, model.can_rank_cold)
        self.steps = Steps(model, settings, processes)
        self.plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(
            self.steps.optimizer,
            "max" if self.judge and self.judge.rises else "min",
            factor=_DROP,
            patience=settings.plateau,
        )
        self.average = Average(model) if settings.average else None
        self.course = Course()
        self.best: Best | None = None

    @property
    def follow(self) -> bool:
        """Whether another epoch follows."""
        waited = self.course.epoch - self.course.best_epoch if self.judge else 0
        return self.course.epoch < self.settings.epochs and waited < self.settings.patience

    def run(self, examples: E, rng: np.random.Generator) -> dict[str, Any]:
        """Train, judge and save an epoch; returns its log entry."""
        began, course = time.perf_counter(), self.course
        self.steps.lr = lr = self._lr()
        try:
            loss = self._learn(examples, rng)
            course.epoch += 1
            entry: dict[str, Any] = {"epoch": course.epoch, "loss": loss, "lr": lr}
            if self.judge is not None:
                entry[self.judge.name] = self._judged(self.judge, loss, rng)
        except DivergedError as error:
            raise self._refusal(error) from None
        course.log.append(entry | {"seconds": round(time.perf_counter() - began, 3)})
        if self.checkpoint is not None:
            self.checkpoint.save(self._tensors(), {"course": asdict(course), "plateau": self.plateau.state_dict()})
        if self.best is not None:
            self.best.drop_all_but(course.best_epoch)
        return course.log[-1]

    def serve(self) -> None:
        """Give the model the weights that are served: those of the best epoch, or the averages."""
        self.steps.optimizer.state.clear()  # its tables make room for those of the best epoch
        if self.judge is not None and self.best is not None:
            self.best.give(self.course.best_epoch, self.model)
        elif self.average is not None:
            self.average.swap()

    def report_end(self, examples: E) -> None:
        """Report all steps as done if training stopped early."""
        if self.course.epoch < self.settings.epochs:
            total = self.settings.epochs * len(batches(len(examples), self.settings.batch))
            self.workspace.report(f"stopped after epoch {self.course.epoch}", total, total)

    def _lr(self) -> float:
        """The next epoch's learning rate; without a judge, by the drops in the settings."""
        drops = self.course.lr_drops if self.judge else self.settings.lr_drops
        return self.settings.lr * _DROP ** sum(drop <= self.course.epoch for drop in drops)

    def _learn(self, examples: E, rng: np.random.Generator) -> float:
        """Train on all examples once; returns the mean of the batches' losses."""
        self.model.train()
        if self.processes is not None:  # dropout must differ between shares
            torch.manual_seed((torch.initial_seed() + self.processes.rank) % 2**63)
        order = batches(len(examples), self.settings.batch, rng if self.settings.shuffle else None)
        epoch, losses = self.course.epoch, list[float]()
        for step, rows in enumerate(order, start=1):
            losses.append(self.steps.take(examples, rows, rng, f"step {step} of epoch {epoch + 1}"))
            done = epoch * len(order) + step
            if self.average is not None:
                self.average.add(done)
            self.workspace.report(self._words(losses[-1]), done, self.settings.epochs * len(order))
        if not all(_is_finite(weights) for weights in self.model.parameters()):
            raise DivergedError("a weight is not finite", f"step {len(order)} of epoch {epoch + 1}")
        return float(np.mean(losses))

    def _judged(self, judge: Judge, loss: float, rng: np.random.Generator) -> float:
        """The judge's value of the epoch; keeps the best weights and notes drops of the learning rate."""
        course, lr = self.course, self.steps.lr
        self.model.eval()
        with torch.no_grad(), self.average.served() if self.average else nullcontext():
            value = judge.value(self.model, loss, rng)
            if not math.isfinite(value):
                raise DivergedError(f"the {judge.name} is {value}", f"after epoch {course.epoch}")
            if judge.prefers(value, course.best, self.settings.least_gain):
                course.best, course.best_epoch = value, course.epoch
                if self.best is not None:
                    self.best.keep(course.epoch, self.model.state_dict())
        self.plateau.step(value)
        if self.steps.lr < lr:
            course.lr_drops.append(course.epoch)
        return value

    def _words(self, loss: float) -> str:
        judged = (
            "" if not self.course.best_epoch or self.judge is None else f", {self.judge.name} {self.course.best:.4f}"
        )
        return f"epoch {self.course.epoch + 1}: loss {loss:.4f}{judged}"

    def _refusal(self, error: DivergedError) -> ConfigError:
        kept = ""
        if self.checkpoint is not None and self.checkpoint.path.exists():
            kept = f" The checkpoint of the last good epoch is {self.checkpoint.path}."
        return ConfigError(
            f"training {type(self.settings).__name__} diverged: {error.reason} ({error.when}, "
            f"learning rate {self.steps.lr:g})",
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
        self.model.load_state_dict(part_of(tensors, "model"))
        if self.best is not None and (best := part_of(tensors, "best")):  # written by timbrec 0.2 and earlier
            self.best.keep(self.course.best_epoch, best)
        if self.average is not None:
            self.average.weights = part_of(tensors, "average")
        self.steps.load(part_of(tensors, "optimizer"))

    def _tensors(self) -> Tensors:
        """The tensors that `resume` reads."""
        return joined({
            "model": self.model.state_dict(),
            "average": self.average.weights if self.average else {},
            "optimizer": self.steps.state(),
        })  # fmt: skip


def _is_finite(weights: torch.Tensor) -> bool:
    """Whether every weight is finite. Blocks are checked one by one, because `isfinite` copies its input."""
    return all(bool(block.isfinite().all()) for block in weights.detach().flatten().split(_ELEMENTS))
