"""Lines: a recommender on a representation, with its controls and all seeds; a row of a table shows one line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from timbrec import catalog
from timbrec.data.split import Scenario, Task
from timbrec.metrics.shared.base import Metric, Outcome, mean
from timbrec.ranking.outcomes import outcome
from timbrec.statistics.influence import Influence, influence
from timbrec.study.controls import REAL
from timbrec.study.experiment import Experiment
from timbrec.study.naming import line_name
from timbrec.study.runs import Run
from timbrec.types import Array, Float, Int

ORDERS = ("random", "new-first")
Key = tuple[str | None, str]  # representation (None without content) and label of the recommender


@dataclass(frozen=True, eq=False)
class Line:
    """The outcomes of one scenario by control and seed; `refused` says why there are none.

    `artists` (items,) numbers the artist of every track; None where they are unknown.
    """

    encoder: str | None
    label: str
    task: Task
    outcomes: dict[str, dict[int, Outcome]]
    refused: str | None = None
    artists: Int[Array, "items"] | None = None

    @property
    def key(self) -> Key:
        """Representation and label."""
        return self.encoder, self.label

    @property
    def name(self) -> str:
        """The name for readers, such as "mert / knn"."""
        return line_name(self.encoder, self.label)

    def of(self, control: str = REAL) -> list[Outcome]:
        """The outcomes of a control, one per seed; empty where it did not run."""
        return list(self.outcomes.get(control, {}).values())

    def influence(self, metric: Metric, control: str = REAL) -> Influence:
        """The influences of users and tracks on the value of a control; tracks of an artist are drawn together."""
        return influence(self.of(control), self.task, metric, self.artists)

    def values(self, metric: Metric, control: str = REAL) -> Float[Array, "users"] | None:
        """(users,) values averaged over seeds; None where the control did not run."""
        outcomes = self.of(control)
        return np.mean([metric.values(judged) for judged in outcomes], axis=0) if outcomes else None

    def value(self, metric: Metric, control: str = REAL) -> float | None:
        """The mean over users and seeds; None where it is not defined."""
        value = mean(np.array([metric.value(judged) for judged in self.of(control)]))
        return None if np.isnan(value) else value


def lines(run: Run, scenario: Scenario) -> Iterator[Line]:
    """The lines of a scenario in the order of the plan, one at a time; lists are read when they are needed."""
    for experiments in grouped(run).values():
        yield _line(run, experiments, scenario)


def grouped(run: Run) -> dict[Key, list[Experiment]]:
    """The finished ranking experiments by line, in the order of the plan."""
    groups: dict[Key, list[Experiment]] = {}
    for experiment in run.finished:
        if experiment.kind == "ranking":
            groups.setdefault((experiment.encoder, experiment.label), []).append(experiment)
    return groups


def baselines(run: Run) -> set[str]:
    """The labels of the recommenders that serve as baselines."""
    kinds = {item.label: item.recommender for item in run.experiments if item.kind == "ranking"}
    return {label for label, name in kinds.items() if catalog.load("recommenders", name).baseline}


def orders(run: Run) -> set[str]:
    """The labels of random orders, which know neither users nor tracks."""
    return {experiment.label for experiment in run.experiments if experiment.recommender in ORDERS}


def _line(run: Run, experiments: list[Experiment], scenario: Scenario) -> Line:
    task = experiments[0].split_of(run.split).test.task(scenario)
    outcomes: dict[str, dict[int, Outcome]] = {}
    refused = None
    for experiment in experiments:
        cell = run.read(experiment, [scenario])
        refused = cell.refused.get(scenario, refused)
        if scenario in cell.lists:
            judged = outcome(cell.lists[scenario].items, task, run.split.test.train)
            outcomes.setdefault(experiment.control, {})[experiment.seed] = judged
    return Line(experiments[0].encoder, experiments[0].label, task, outcomes, refused, run.artists)
