"""Cells: finished experiments, and the function that runs an experiment."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from timbrec import catalog
from timbrec.data.split import SCENARIOS, Scenario, Split
from timbrec.machine.versions import versions
from timbrec.protocols import Content, Workspace
from timbrec.ranking.rank import TopK
from timbrec.study.experiment import Experiment


@dataclass(frozen=True, eq=False)
class Cell:
    """A finished experiment.

    `records` are tables by name; their form depends on the kind of cell. A ranking cell has a table of top-k lists per
    scenario. `refused` says why a record is missing. `facts` are reported by the fit; `chosen` are the settings chosen
    in validation; `seconds` is the running time; `versions` is the software that ran it.
    """

    experiment: Experiment
    records: dict[str, pl.DataFrame]
    refused: dict[str, str]
    facts: dict[str, float]
    chosen: dict[str, Any]
    seconds: float = 0.0
    versions: dict[str, str] = field(default_factory=dict)

    @cached_property
    def lists(self) -> dict[Scenario, TopK]:
        """The top-k lists by scenario, for ranking cells."""
        return {scenario: _lists(self.records[scenario]) for scenario in SCENARIOS if scenario in self.records}


def run_cell(experiment: Experiment, split: Split, content: Content, workspace: Workspace = Workspace()) -> Cell:
    """Run one experiment; pure and picklable, so that any engine may run it anywhere."""
    started = time.perf_counter()
    cell: Cell = catalog.load("cells", experiment.kind)().run(experiment, split, content, workspace)
    return replace(cell, seconds=time.perf_counter() - started, versions=versions())


def _lists(table: pl.DataFrame) -> TopK:
    return TopK(
        table["user"].to_numpy().astype(np.int64),
        table["items"].to_numpy().astype(np.int64),
        table["scores"].to_numpy(),
    )
