"""Cells: finished experiments, and the one function that makes them."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from timbrec import catalog
from timbrec.data.split import SCENARIOS, Scenario, Split
from timbrec.protocols import Content, Workspace
from timbrec.ranking.rank import TopK
from timbrec.study.experiment import Experiment
from timbrec.study.versions import versions


@dataclass(frozen=True, eq=False)
class Cell:
    """A finished experiment.

    `records` are tables by name, of the kind's own form: a ranking has one of top-k lists per scenario. `refused` says
    why a record is missing. `facts` is what fitting reports, `chosen` the settings that validation chose, `seconds` the
    time it took, `versions` the software that made it.
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
