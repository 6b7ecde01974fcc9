"""Small interactions, folds and scorers with known values."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch

from timbrec.data.events import Events, make_events
from timbrec.data.interactions import Interactions
from timbrec.data.split import Fold
from timbrec.protocols import Scorer
from timbrec.study.cell import Cell
from timbrec.study.runs import Run

HARNESS = Path(__file__).parent.parent / "measurements" / "harness"  # scripts of tests import `peak` from it


def interactions(pairs: Iterable[tuple[int, ...]], n_users: int, n_items: int) -> Interactions:
    """Of (user, item) or (user, item, plays)."""
    rows = [(*pair, 1)[:3] for pair in pairs]
    schema = {"user": pl.Int64, "item": pl.Int64, "plays": pl.Int64}
    return Interactions.of(pl.DataFrame(rows, schema=schema, orient="row"), n_users, n_items)


def fold(seed: int, n_users: int = 30, n_items: int = 40, new: int = 8, density: float = 0.2) -> Fold:
    """A random fold: every user has train pairs, the last `new` items are not in train."""
    rng = np.random.default_rng(seed)
    stage = rng.choice(3, (n_users, n_items), p=[1 - density, density / 2, density / 2])  # 0 nothing, 1 train, 2 later
    stage[:, n_items - new :][stage[:, n_items - new :] == 1] = 2
    stage[:, 0] = 1
    known = (stage == 1).any(0)
    parts = [np.argwhere(keep) for keep in (stage == 1, (stage == 2) & known, (stage == 2) & ~known)]
    return Fold(
        *(interactions([(*pair, int(rng.integers(1, 5))) for pair in part], n_users, n_items) for part in parts)
    )


def noise(n: int, samples: int, seed: int = 0) -> np.ndarray:
    """(n, samples) windows of white noise."""
    return np.random.default_rng(seed).normal(0, 0.1, (n, samples)).astype(np.float32)


def log(rows: Iterable[tuple[str, str, datetime]]) -> Events:
    """Of (user, item, time)."""
    return make_events(pl.DataFrame(list(rows), schema=["user", "item", "time"], orient="row"))


@dataclass(frozen=True, eq=False)
class TableScorer(Scorer):
    """Scores that stand in a (users, items) table."""

    table: np.ndarray
    can_rank_cold: bool = True

    def bind(self, items: Any, device: Any) -> Any:
        columns = torch.from_numpy(self.table.astype(np.float32)[:, items])

        def score(rows: Any, out: Any) -> None:
            out.copy_(columns[torch.from_numpy(rows)])

        return score


def rewrite(run: Run, cell: Cell) -> None:
    """Store another cell in place of a finished one, which a run never does."""
    shutil.rmtree(run.folder / "cells" / cell.experiment.hash)
    run.write(cell)
