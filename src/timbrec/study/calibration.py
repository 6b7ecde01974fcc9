"""Expected time of a grid on this machine: a short trial of each recommender, scaled up."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
import torch

from timbrec.data.split import Fold
from timbrec.errors import DataError
from timbrec.protocols import Content
from timbrec.recommenders import recommender
from timbrec.study.estimate import Estimate
from timbrec.study.experiment import Experiment
from timbrec.study.inputs import Inputs
from timbrec.training.judge import judge_of
from timbrec.training.recommender import TrainedRecommender
from timbrec.training.steps import Steps
from timbrec.training.trainable import Trainable

SECONDS = 45.0  # trials start within this time
_STEPS = 3  # training steps that are timed, after one that is not
_SIDE = 1024  # of the matrix product that gives the rate of ranking
_RANKING = 1.2  # time of a ranking over that of its matrix product


class Cost(NamedTuple):
    """Seconds of a cell: at `least`, if training stops as early as it can, and at `most`; `once` counts for a model
    that all cells of a train part and a seed share."""

    least: float
    most: float
    once: float = 0.0


@dataclass(frozen=True)
class Trials:
    """Estimates of the fits of a grid, with their lists, and the seconds of shared models."""

    least: Estimate = field(default_factory=Estimate)
    most: Estimate = field(default_factory=Estimate)
    once: float = 0.0

    @property
    def tried(self) -> int:
        """The number of recommenders that were tried."""
        return len(self.most.seconds)


def calibrated(experiments: Sequence[Experiment], inputs: Inputs, seconds: float = SECONDS) -> Trials:
    """Estimate the time of each recommender from a short trial.

    Recommenders for which no time was left count with the mean of the others, as in `Estimate`.
    """
    deadline, trials, once = time.perf_counter() + seconds, Trials(), 0.0
    largest: dict[str, Experiment] = {}
    for experiment in experiments:
        if _dim(experiment, inputs) >= _dim(largest.get(experiment.label, experiment), inputs):
            largest[experiment.label] = experiment
    rate = product_rate()
    for experiment in largest.values():
        if time.perf_counter() < deadline:
            cost, ranking = _fitting(experiment, inputs), _ranking(experiment, inputs, rate)
            trials.least.add(experiment, cost.least + ranking)
            trials.most.add(experiment, cost.most + ranking)
            seeds = {other.seed for other in experiments if other.label == experiment.label}
            once += cost.once * len(seeds) * _fits(inputs)
    return replace(trials, once=once)


def product_rate() -> float:
    """Operations per second of a float32 matrix product on the processor."""
    left, right = torch.rand(_SIDE, _SIDE), torch.rand(_SIDE, _SIDE)
    torch.mm(left, right)
    started = time.perf_counter()
    for _ in range(_STEPS):
        torch.mm(left, right)
    return _STEPS * 2 * _SIDE**3 / (time.perf_counter() - started)


def _dim(experiment: Experiment, inputs: Inputs) -> int:
    """The dimensions of the vectors of a cell; 1 without content."""
    sources = experiment.representation.sources if experiment.representation else ()
    return max(1, sum(inputs.sources[source.encoder].dim for source in sources))


def _fits(inputs: Inputs) -> int:
    """The number of fits of a recommender that validates."""
    return 1 if inputs.split.validation.train.digest == inputs.split.test.train.digest else 2


def _fitting(experiment: Experiment, inputs: Inputs) -> Cost:
    """Expected seconds of fitting, with random vectors of the cell's dimensions."""
    fitted, train = recommender(experiment.recommender, experiment.settings), inputs.split.test.train
    vectors = np.random.default_rng(0).standard_normal((train.n_items, _dim(experiment, inputs)), dtype=np.float32)
    content = Content(vectors, inputs.artist_rows)
    if isinstance(fitted, TrainedRecommender):
        return _training(fitted, inputs, content)
    started = time.perf_counter()
    fitted.fit(train, content, None, np.random.default_rng(0))
    return Cost(*[time.perf_counter() - started] * 2)


def _training(fitted: TrainedRecommender, inputs: Inputs, content: Content) -> Cost:
    """Seconds of a trained recommender, from some steps and a validation; of both fits where there are two.

    It trains at least until its patience ends, with the best epoch first, and at most for all its epochs.
    """
    fold, rng = inputs.split.validation, np.random.default_rng(0)
    quick: Any = fitted
    if shared := getattr(fitted, "elsa_epochs", 0):  # the base of some models is fitted once, and tried for an epoch
        quick = replace(quick, elsa_epochs=1)
    started = time.perf_counter()
    model = quick.model(fold.train, content, rng)
    once = (time.perf_counter() - started) * shared
    examples = model.examples(fold.train)
    rows, steps = rng.permutation(len(examples))[: fitted.batch], Steps(model, fitted)
    steps.take(examples, rows, rng, "a trial")
    started = time.perf_counter()
    for _ in range(_STEPS):
        steps.take(examples, rows, rng, "a trial")
    epoch = (time.perf_counter() - started) / _STEPS * -(-len(examples) // fitted.batch)
    judged = _judging(fitted, model, fold)
    first = min(fitted.patience + 1, fitted.epochs) if judged else fitted.epochs
    again = _fits(inputs) - 1
    least = first * (epoch + judged) + again * (epoch if judged else fitted.epochs * epoch)
    return Cost(least, fitted.epochs * (epoch + judged + again * epoch), once)


def _judging(fitted: TrainedRecommender, model: Trainable[Any], fold: Fold) -> float:
    """Seconds of a validation; 0 where there is none."""
    with suppress(DataError):  # the fold lacks pairs, which the run will say
        if (judge := judge_of(fitted, fold, model.can_rank_cold)) is not None:
            started = time.perf_counter()
            with torch.no_grad():
                judge.value(model, 0.0, np.random.default_rng(0))
            return time.perf_counter() - started
    return 0.0


def _ranking(experiment: Experiment, inputs: Inputs, rate: float) -> float:
    """Seconds of the hot, cold and mixed lists, at the rate of a matrix product."""
    fold = experiment.split_of(inputs.split).test
    tasks = [fold.task(scenario) for scenario in ("hot", "cold", "mixed")]
    scores = sum(len(task.users) * len(task.candidates) for task in tasks)
    return _RANKING * 2 * scores * _dim(experiment, inputs) / rate
