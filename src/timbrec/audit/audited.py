"""A run under audit: its cells, its tasks and random samples."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from timbrec.data.split import Scenario, Task
from timbrec.errors import TimbrecError
from timbrec.study.config import Config, make_config
from timbrec.study.experiment import Experiment
from timbrec.study.inputs import Inputs
from timbrec.study.runs import Run
from timbrec.types import Array, Float32, Int

SEED = 0xA0D17  # of all random draws, so that two audits of a run agree


@dataclass(frozen=True, eq=False)
class Audited:
    """A run and the current inputs of its config, or the error that reading them raised."""

    run: Run
    current: Inputs | TimbrecError

    @property
    def inputs(self) -> Inputs:
        """The inputs. Raises the error of reading them."""
        if isinstance(self.current, TimbrecError):
            raise self.current
        return self.current

    @cached_property
    def config(self) -> Config:
        """The settings of the run."""
        return make_config(self.run.facts["config"])

    @cached_property
    def experiments(self) -> list[Experiment]:
        """The finished ranking cells."""
        return [experiment for experiment in self.run.finished if experiment.kind == "ranking"]

    def task(self, experiment: Experiment, scenario: Scenario) -> Task:
        """The task that a cell answered in this scenario."""
        return experiment.split_of(self.run.split).test.task(scenario)

    def lists(
        self, experiments: list[Experiment], scenario: Scenario
    ) -> Iterator[tuple[Experiment, Task, Int[Array, "users depth"], Float32[Array, "users depth"]]]:
        """Yield (cell, task, items, scores) for every cell that has lists of this scenario."""
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
    """A random sample of at most `at_most` of n positions, ascending; the same sample in every audit."""
    return np.sort(np.random.default_rng(SEED).permutation(n)[:at_most])
