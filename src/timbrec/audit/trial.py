"""Trials: recommenders on planted worlds, through the code of a benchmark."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from timbrec.audit.audited import SEED
from timbrec.data.split import Scenario, Task
from timbrec.encoders.mfcc import MFCC
from timbrec.metrics.ndcg import NDCG
from timbrec.metrics.shared.base import Outcome
from timbrec.protocols import Content, Encoder, Recommender, Scorer
from timbrec.ranking.outcomes import outcome
from timbrec.recommenders.knn import KNN
from timbrec.statistics.intervals import crossed
from timbrec.store.vectors import Vectors
from timbrec.study.fitting import answer, fit
from timbrec.types import Array, Float, Float32, Int
from timbrec.worlds.planted import PlantedWorld

QUALITIES = (0.2, 0.4, 0.7, 1.0)  # of the encoders: five standard errors and more apart for KNN
DIALS = (0.0, 0.5, 1.0)
METRIC = NDCG(50)


@dataclass(frozen=True, eq=False)
class Answer:
    """A recommender's lists for a task: items, gains per place of NDCG@50, and NDCG@50 by chance."""

    gains: Float[Array, "users k"]
    items: Int[Array, "users k"]
    task: Task
    chance: float

    @property
    def value(self) -> float:
        """NDCG@50."""
        return float(self.gains.sum(1).mean())

    @property
    def error(self) -> float:
        """The standard error of the value over users and items."""
        return _error(self.gains, self.items, self.task)

    def gap(self, worse: Answer) -> float:
        """The difference to a worse answer to the same task, in standard errors."""
        gains, items = np.concatenate([self.gains, -worse.gains], 1), np.concatenate([self.items, worse.items], 1)
        return (self.value - worse.value) / _error(gains, items, self.task)


def _error(gains: Float[Array, "users k"], items: Int[Array, "users k"], task: Task) -> float:
    interval = crossed(gains, items, task.users, task.relevant)
    return max(float(interval.high - interval.low) / (2 * 1.96), 1e-12)


def _default() -> Mapping[str, Recommender]:
    return {"knn": KNN()}


def _encoders() -> Mapping[str, Encoder]:
    return {"mfcc": MFCC()}


@dataclass(frozen=True, eq=False)
class Trial:
    """Recommenders by name, fitted once per world and encoder.

    Worlds have `size` users and items. `qualities` of the encoders and `dials` of the worlds ascend.
    """

    recommenders: Mapping[str, Recommender] = field(default_factory=_default)
    encoders: Mapping[str, Encoder] = field(default_factory=_encoders)
    size: int = 1_500
    qualities: tuple[float, ...] = QUALITIES
    dials: tuple[float, ...] = DIALS
    _scorers: dict[tuple[str, float, float], Scorer] = field(default_factory=dict)

    @cached_property
    def worlds(self) -> dict[float, PlantedWorld]:
        """A world per dial. With dial 0, plays are uniform: neither taste nor popularity decides."""
        rest = {dial: 0.5 if dial else 0.0 for dial in self.dials}
        return {
            dial: PlantedWorld(self.size, self.size, dial, rest[dial], rest[dial], seed=SEED) for dial in self.dials
        }

    @cached_property
    def small(self) -> PlantedWorld:
        """A world of 300 users and items, for training."""
        return PlantedWorld(300, 300, seed=SEED)

    @cached_property
    def small_content(self) -> Content:
        """Vectors of the best encoder in the small world."""
        return Content(self.small.vectors(QUALITIES[-1]))

    def vectors(self, dial: float, quality: float) -> Float32[Array, "items dim"]:
        """Vectors of an encoder, looked up by id in a source with more tracks and another order."""
        world = self.worlds[dial]
        vectors, ids = world.vectors(quality), world.split.items.ids.to_list()
        order = np.random.default_rng(SEED).permutation(len(ids) + len(ids) // 10)
        more = np.resize(vectors, (len(order), vectors.shape[1]))
        names = np.array([*ids, *(f"another track {number}" for number in range(len(order) - len(ids)))])
        return Vectors(names[order].tolist(), more[order]).aligned(world.split.items.ids)

    def scorer(self, name: str, dial: float, quality: float) -> Scorer:
        """The recommender, fitted on a world with the vectors of an encoder."""
        key = (name, dial, quality)
        if key not in self._scorers:
            content = Content(self.vectors(dial, quality))
            self._scorers[key] = fit(self.recommenders[name], self.worlds[dial].split, content, seed=0)[0]
        return self._scorers[key]

    def answer(self, name: str, scenario: Scenario, dial: float = DIALS[-1], quality: float = QUALITIES[-1]) -> Answer:
        """The recommender's answer to the test of a world."""
        return self.judged(self.scorer(name, dial, quality), scenario, dial)

    def judged(self, scorer: Scorer, scenario: Scenario, dial: float) -> Answer:
        """A scorer's answer to the test of a world."""
        fold = self.worlds[dial].split.test
        task = fold.task(scenario)
        lists = answer(scorer, task, fold, METRIC.k, seed=0)
        outcomes: Outcome = outcome(lists.items, task, fold.train)
        return Answer(METRIC.gains(outcomes), lists.items, task, float(METRIC.chance(outcomes).mean()))
