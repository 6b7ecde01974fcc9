"""Expected time of a grid on this machine: a short trial of each recommender, scaled up."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import torch

from timbrec.protocols import Content
from timbrec.recommenders import recommender
from timbrec.study.estimate import Estimate
from timbrec.study.experiment import Experiment
from timbrec.study.inputs import Inputs
from timbrec.training.recommender import TrainedRecommender

SECONDS = 45.0  # trials start within this time
_STEPS = 3  # training steps that are timed, after one that is not
_SIDE = 1024  # of the matrix product that gives the rate of ranking
_RANKING = 1.2  # time of a ranking over that of its matrix product


def calibrated(experiments: Sequence[Experiment], inputs: Inputs, seconds: float = SECONDS) -> tuple[Estimate, int]:
    """Estimate the time of each recommender; returns the estimate and the number of recommenders tried.

    Trained recommenders count with all their epochs; early stopping makes them faster. Recommenders for which no time
    was left count with the mean of the others, as in `Estimate`.
    """
    deadline, estimate = time.perf_counter() + seconds, Estimate()
    largest: dict[str, Experiment] = {}
    for experiment in experiments:
        if _dim(experiment, inputs) >= _dim(largest.get(experiment.label, experiment), inputs):
            largest[experiment.label] = experiment
    rate = product_rate()
    for experiment in largest.values():
        if time.perf_counter() < deadline:
            estimate.add(experiment, _fitting(experiment, inputs) + _ranking(experiment, inputs, rate))
    return estimate, len(estimate.seconds)


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


def _fitting(experiment: Experiment, inputs: Inputs) -> float:
    """Expected seconds of fitting, with random vectors of the cell's dimensions."""
    fitted, train = recommender(experiment.recommender, experiment.settings), inputs.split.test.train
    vectors = np.random.default_rng(0).standard_normal((train.n_items, _dim(experiment, inputs)), dtype=np.float32)
    content = Content(vectors, inputs.artist_rows)
    started = time.perf_counter()
    if isinstance(fitted, TrainedRecommender):
        return _training(fitted, inputs, content)
    fitted.fit(train, content, None, np.random.default_rng(0))
    return time.perf_counter() - started


def _training(fitted: TrainedRecommender, inputs: Inputs, content: Content) -> float:
    """Seconds of all epochs of a trained recommender, and of the second fit where there is one."""
    train, rng = inputs.split.test.train, np.random.default_rng(0)
    model = fitted.model(train, content, rng)
    examples = model.examples(train)
    rows = rng.permutation(len(examples))[: fitted.batch]
    model(examples, rows, rng).backward()
    started = time.perf_counter()
    for _ in range(_STEPS):
        model(examples, rows, rng).backward()
    step = (time.perf_counter() - started) / _STEPS
    same = inputs.split.validation.train.digest == train.digest
    return step * -(-len(examples) // fitted.batch) * fitted.epochs * (1 if same else 2)


def _ranking(experiment: Experiment, inputs: Inputs, rate: float) -> float:
    """Seconds of the hot, cold and mixed lists, at the rate of a matrix product."""
    fold = experiment.split_of(inputs.split).test
    tasks = [fold.task(scenario) for scenario in ("hot", "cold", "mixed")]
    scores = sum(len(task.users) * len(task.candidates) for task in tasks)
    return _RANKING * 2 * scores * _dim(experiment, inputs) / rate
