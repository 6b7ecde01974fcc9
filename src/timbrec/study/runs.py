"""Runs on disk: one folder per run, one folder per finished cell, named by the hash of what decides its numbers.

A cell appears under its name in one rename, complete or not at all, so an interrupted run loses no finished cell.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from timbrec.data.split import SCENARIOS, ColdCandidates, Scenario, Split, load_split, save_split
from timbrec.errors import DataError
from timbrec.files import replacing, write_atomically
from timbrec.ranking.rank import TopK
from timbrec.study.controls import Control


@dataclass(frozen=True)
class Experiment:
    """Everything that decides a cell's numbers, and nothing else.

    `split`, `vectors` and `artists` are digests; `vectors` is None for a recommender without content. `settings` are
    all hyperparameters, defaults included; `version` is the recommender's.
    """

    split: str
    encoder: str | None
    vectors: str | None
    control: Control
    artists: str | None
    recommender: str
    settings: dict[str, Any]
    version: int
    label: str
    seed: int
    depth: int
    cold_candidates: ColdCandidates

    @cached_property
    def hash(self) -> str:
        """The cell's name. The label and the encoder's name are for readers and do not count."""
        facts = {name: value for name, value in asdict(self).items() if name not in ("label", "encoder")}
        return hashlib.sha256(json.dumps([FORMAT, facts], sort_keys=True).encode()).hexdigest()[:16]


FORMAT = 1  # raised when the split, the ranking or a control changes numbers: every cell then runs again


@dataclass(frozen=True)
class Cell:
    """A finished experiment: top-k lists per scenario, or why there are none, and what fitting found."""

    experiment: Experiment
    lists: dict[Scenario, TopK]
    refused: dict[Scenario, str]
    facts: dict[str, float]
    chosen: dict[str, Any]
    seconds: float


class Run:
    """A run's folder. `split` is read when first asked for; cells one at a time."""

    def __init__(self, folder: Path) -> None:
        if not (folder / "run.json").is_file():
            raise DataError(f"{folder} is not a finished or interrupted run", fix="Name the `output` of a config.")
        self.folder = folder

    @classmethod
    def create(cls, folder: Path, facts: dict[str, Any], split: Split) -> Run:
        """Make or take over the folder; `facts` (JSON) describe the run, its config included."""
        folder.mkdir(parents=True, exist_ok=True)
        for leftover in (folder / "cells").glob(".*"):  # of a run that was stopped while it wrote
            shutil.rmtree(leftover, ignore_errors=True)
        save_split(split, folder / "split")
        write_atomically(folder / "run.json", json.dumps(facts, indent=2, default=str))
        run = cls(folder)
        run.__dict__["split"] = split
        return run

    @cached_property
    def split(self) -> Split:
        """The split all cells share."""
        return load_split(self.folder / "split")

    @property
    def facts(self) -> dict[str, Any]:
        """What `create` was given."""
        facts: dict[str, Any] = json.loads((self.folder / "run.json").read_text())
        return facts

    def has(self, experiment: Experiment) -> bool:
        """Whether the cell is finished."""
        return (self._cell(experiment) / "cell.json").is_file()

    def write(self, cell: Cell) -> None:
        """Store a finished cell: written beside its place, then renamed into it."""
        facts = {
            "experiment": asdict(cell.experiment),
            "refused": cell.refused,
            "facts": cell.facts,
            "chosen": cell.chosen,
            "seconds": cell.seconds,
        }
        with replacing(self._cell(cell.experiment)) as partial:
            partial.mkdir(parents=True)
            for scenario, lists in cell.lists.items():
                _list_table(lists).write_parquet(partial / f"{scenario}.parquet")
            (partial / "cell.json").write_text(json.dumps(facts, indent=2))

    def read(self, experiment: Experiment, scenarios: Sequence[Scenario] = SCENARIOS) -> Cell:
        """A finished cell with its lists of these scenarios. Raises DataError when its files are damaged."""
        folder = self._cell(experiment)
        try:
            facts = json.loads((folder / "cell.json").read_text())
            lists: dict[Scenario, TopK] = {
                scenario: _read_lists(folder / f"{scenario}.parquet")
                for scenario in scenarios
                if scenario not in facts["refused"]
            }
        except (OSError, ValueError, pl.exceptions.PolarsError) as error:
            raise DataError(f"{folder} is damaged: {error}", fix="Delete it and run the benchmark again.") from error
        return Cell(experiment, lists, facts["refused"], facts["facts"], facts["chosen"], facts["seconds"])

    @property
    def experiments(self) -> list[Experiment]:
        """The run's plan: what it consists of, finished or not."""
        return [Experiment(**one) for one in json.loads((self.folder / "plan.json").read_text())]

    def plan(self, experiments: Sequence[Experiment]) -> None:
        """Remember what the run consists of; cells of earlier plans stay and are found again when asked for."""
        write_atomically(self.folder / "plan.json", json.dumps([asdict(one) for one in experiments], indent=1))

    def _cell(self, experiment: Experiment) -> Path:
        return self.folder / "cells" / experiment.hash


def _list_table(lists: TopK) -> pl.DataFrame:
    depth = lists.items.shape[1]
    return pl.DataFrame(
        {"user": lists.users, "items": lists.items.astype(np.int32), "scores": lists.scores},
        schema={"user": pl.Int32, "items": pl.Array(pl.Int32, depth), "scores": pl.Array(pl.Float32, depth)},
    )


def _read_lists(path: Path) -> TopK:
    table = pl.read_parquet(path)
    return TopK(
        table["user"].to_numpy().astype(np.int64),
        table["items"].to_numpy().astype(np.int64),
        table["scores"].to_numpy(),
    )
