"""Judges: the values that decide when training stops."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from timbrec.training.validation import validated, validation_task
from timbrec.types import Array, Int, Integer

if TYPE_CHECKING:
    from timbrec.data.split import Fold, Scenario
    from timbrec.training.settings import TrainingSettings
    from timbrec.training.trainable import Trainable


class Judge(ABC):
    """A named value per epoch; `rises` says whether a larger value is better."""

    name: str
    rises: ClassVar[bool] = False

    @abstractmethod
    def value(self, model: Trainable[Any], loss: float, rng: np.random.Generator) -> float:
        """The value of the model after an epoch with the mean training loss `loss`."""

    def prefers(self, value: float, best: float, least_gain: float) -> bool:
        """Whether a value improves on the best one (NaN: none yet) by more than the share `least_gain` of it."""
        gain = value - best if self.rises else best - value
        return math.isnan(best) or gain > least_gain * abs(best)


class Ranking(Judge):
    """NDCG@50 of a scenario of the validation fold. Raises DataError if the scenario has no pairs."""

    rises: ClassVar[bool] = True

    def __init__(self, fold: Fold, scenario: Scenario, can_rank_cold: bool) -> None:
        task = validation_task(fold, scenario, can_rank_cold)
        self.train, self.task = fold.train, task
        self.name = f"ndcg@50 {task.scenario}"

    def value(self, model: Trainable[Any], loss: float, rng: np.random.Generator) -> float:
        """The mean over the scenario's users."""
        return validated(model.scorer, self.task, self.train)


class HeldOutLoss(Judge):
    """The paper's validation loss: the loss of the fold's hot pairs alone, without the users' histories.

    As in the paper, it is the mean of the batches' means, and negatives and masks are drawn anew in every epoch.
    Raises DataError if there are no hot pairs.
    """

    name = "validation loss"

    def __init__(self, fold: Fold, batch: int) -> None:
        self.pairs, self.batch = validation_task(fold, "hot", can_rank_cold=False).relevant, batch

    def value(self, model: Trainable[Any], loss: float, rng: np.random.Generator) -> float:
        """The mean loss of the held-out pairs."""
        examples = model.examples(self.pairs)
        return float(np.mean([model(examples, rows, rng).item() for rows in batches(len(examples), self.batch)]))


class TrainLoss(Judge):
    """The mean loss of the epoch's batches; it uses no held-out data."""

    name = "train loss"

    def value(self, model: Trainable[Any], loss: float, rng: np.random.Generator) -> float:
        """The training loss."""
        return loss


def judge_of(settings: TrainingSettings, validation: Fold | None, can_rank_cold: bool) -> Judge | None:
    """The judge that `stop_on` names; None without validation."""
    if validation is None or settings.stop_on == "nothing":
        return None
    if settings.stop_on == "train loss":
        return TrainLoss()
    if settings.stop_on == "validation loss":
        return HeldOutLoss(validation, settings.batch)
    return Ranking(validation, settings.stop_on, can_rank_cold)


def batches(n: int, size: int, rng: np.random.Generator | None = None) -> Sequence[Int[Array, "batch"]]:
    """The rows of n examples in batches, in a random order with `rng`; the last batch may be smaller."""
    order = np.arange(n, dtype=np.int32 if n < 2**31 else np.int64)
    if rng is not None:
        rng.shuffle(order)
    return _Batches(order, size)


@dataclass(frozen=True)
class _Batches(Sequence[Int[Array, "batch"]]):
    """Parts of `size` of an order that takes four bytes per row; a batch has eight, for products of rows."""

    order: Integer[Array, "n"]
    size: int

    def __len__(self) -> int:
        return max(1, -(-len(self.order) // self.size))

    def __getitem__(self, number: Any) -> Any:
        """The rows of a batch."""
        if number >= len(self):
            raise IndexError(number)
        return self.order[number * self.size : (number + 1) * self.size].astype(np.int64)
