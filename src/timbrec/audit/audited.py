"""A run under audit: its cells, its tasks and samples of its users."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from timbrec.data.split import Scenario, Task
from timbrec.study.config import Config, make_config
from timbrec.study.experiment import Experiment
from timbrec.study.inputs import Inputs
from timbrec.study.runs import Run
from timbrec.types import Array, Float32, Int

SEED = 0xA0D17  # of everything the audit draws: an audit of the same run says the same


@dataclass(frozen=True, eq=False)
class Audited:
    """A run with the inputs it was made from."""

    run: Run
    inputs: Inputs

    @cached_property
    def config(self) -> Config:
        """The run's own settings."""
        return make_config(self.run.facts["config"])

    @cached_property
    def experiments(self) -> list[Experiment]:
        """The finished ranking cells."""
        return [experiment for experiment in self.run.finished if experiment.kind == "ranking"]

    def task(self, experiment: Experiment, scenario: Scenario) -> Task:
        """What the cell was asked in this scenario."""
        return experiment.split_of(self.run.split).test.task(scenario)

    def lists(
        self, experiments: list[Experiment], scenario: Scenario
    ) -> Iterator[tuple[Experiment, Task, Int[Array, "users depth"], Float32[Array, "users depth"]]]:
        """The stored items and scores of the cells that rank this scenario, one cell at a time, with their task."""
        for experiment in experiments:
            cell = self.run.read(experiment, [scenario])
            if scenario in cell.lists:
                yield (
                    experiment,
                    self.task(experiment, scenario),
                    cell.lists[scenario].items,
                    cell.lists[scenario].scores,
                )


def sample(n: int, at_most: int) -> Int[Array, "m"]:
    """At most that many of n places, ascending, the same ones each time."""
    return np.sort(np.random.default_rng(SEED).permutation(n)[:at_most])
