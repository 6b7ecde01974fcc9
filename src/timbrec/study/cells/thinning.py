"""Thinning cells: a recommender after the plays of some test items were reduced to 0, 1, 2, 5, ... per item."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated

import numpy as np
import polars as pl
from pydantic import Field

from timbrec.data.interactions import Interactions
from timbrec.data.split import Split, Task
from timbrec.errors import ConfigError
from timbrec.protocols import Content, Workspace
from timbrec.ranking.rank import rank
from timbrec.recommenders import recommender
from timbrec.study.cell import Cell
from timbrec.study.cells.ranking import lists_table
from timbrec.study.cells.shared.planning import planned
from timbrec.study.controls import REAL
from timbrec.study.experiment import Experiment
from timbrec.study.fitting import validated
from timbrec.types import Array, Int

if TYPE_CHECKING:
    from timbrec.study.config import Config
    from timbrec.study.inputs import Inputs

LEAST = 20  # items with as many plays as a level needs
SHARE = 10  # one of this many train items is thinned: the others stay, so that users keep their histories
SEED = 0x7417


@dataclass(frozen=True)
class Thinning:
    """Lists over the same test items with `plays` train users each, for some recommenders and the first seed.

    Levels that fewer than 20 items of the hot test reach are left out. Names in `recommenders` use the settings of the
    config where it has them, and those of its budget.
    """

    plays: Sequence[Annotated[int, Field(ge=0)]] = (0, 1, 2, 5, 10, 20, 50)
    recommenders: Sequence[str] = ("knn", "elsa", "hybrid")

    def plan(self, config: Config, inputs: Inputs) -> list[Experiment]:
        """An experiment per recommender and representation. Raises ConfigError if no item has enough plays."""
        levels = reached_levels(inputs.split, self.plays)
        entries = {entry.use: (entry.settings, entry.label or entry.use) for entry in config.recommenders}
        return [
            experiment
            for use in self.recommenders
            for settings, label in [entries.get(use, ({}, use))]
            for experiment in planned(
                config, inputs, use, settings, label, lambda _: [(REAL, config.seeds[0])], kind="thinning", plays=levels
            )
        ]

    def run(self, experiment: Experiment, split: Split, content: Content, workspace: Workspace) -> Cell:
        """A table of lists per level, named `plays-N`. Settings are chosen once, on the validation fold as it is."""
        chosen_recommender, chosen = recommender(experiment.recommender, experiment.settings), {}
        if chosen_recommender.validates:
            chosen = validated(chosen_recommender, split, content, experiment.seed, workspace).chosen
        final, train = replace(chosen_recommender, **chosen), split.test.train
        task = thinned_task(split, experiment.plays)
        records: dict[str, pl.DataFrame] = {}
        refused: dict[str, str] = {}
        for level in experiment.plays:
            thinned = thin(train, task.candidates, level)
            inside = workspace.inside(f"plays-{level}")
            scorer = final.fit(thinned, content, None, np.random.default_rng(experiment.seed), inside)
            if level == 0 and not scorer.can_rank_cold:
                refused["plays-0"] = "cannot rank items that nobody has played in train"
                continue
            lists = rank(scorer, task.users, task.candidates, train, experiment.depth, seed=experiment.seed)
            records[f"plays-{level}"] = lists_table(lists, task, train)
        return Cell(experiment, records, refused, {"thinned items": float(len(task.candidates))}, chosen)


def reached_levels(split: Split, plays: Sequence[int]) -> tuple[int, ...]:
    """The levels that at least 20 items of the hot test reach, ascending. Raises ConfigError without one above 0."""
    users = split.test.train.item_users[split.test.hot.items]
    levels = tuple(sorted({int(level) for level in plays if (users >= level).sum() >= LEAST}))
    if not any(levels):
        raise ConfigError(
            f"thinning needs {LEAST} items of the hot test with as many train users as its levels",
            example=f"plays: {list(plays)}",
            fix="Name smaller levels, or leave out `thinning`.",
        )
    return levels


def thinned_task(split: Split, levels: Sequence[int]) -> Task:
    """The hot test over the thinned items: a tenth of the train items, of those that reach the largest level.

    The candidates are the thinned items. Items that a user played in train are left out of their lists at every level.
    """
    train, tested = split.test.train, split.test.hot.items
    eligible = tested[train.item_users[tested] >= max(levels)]
    count = max(LEAST, len(train.items) // SHARE)
    items = np.sort(np.random.default_rng(SEED).permutation(eligible)[:count])
    return Task("hot", items, split.test.hot.where(np.isin(split.test.hot.item, items)))


def thin(train: Interactions, items: Int[Array, "n"], level: int) -> Interactions:
    """The train part with at most `level` users for each of these items; smaller levels keep a subset of the users."""
    order = np.lexsort((np.random.default_rng(SEED).random(len(train)), train.item))
    starts = np.cumsum(train.item_users) - train.item_users
    place = np.empty(len(train), np.int64)
    place[order] = np.arange(len(train)) - starts[train.item[order]]
    return train.where(~np.isin(train.item, items) | (place < level))
