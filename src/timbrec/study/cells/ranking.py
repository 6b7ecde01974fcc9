"""Ranking cells: the hot, cold and mixed lists of a recommender on a representation or a control."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from timbrec.data.interactions import Interactions
from timbrec.data.split import SCENARIOS, Split, Task
from timbrec.errors import CannotRankError
from timbrec.protocols import Content, Workspace
from timbrec.ranking.outcomes import outcome
from timbrec.ranking.rank import TopK
from timbrec.recommenders import recommender
from timbrec.study.cell import Cell
from timbrec.study.cells.shared.planning import planned
from timbrec.study.config import BASELINES
from timbrec.study.controls import CONTROLS, REAL, vectors_of
from timbrec.study.experiment import Experiment
from timbrec.study.fitting import answer, fit

if TYPE_CHECKING:
    from timbrec.protocols import Recommender
    from timbrec.study.config import Config
    from timbrec.study.inputs import Inputs


class Ranking:
    """Every recommender of the config on every representation and control, with every seed."""

    def plan(self, config: Config, inputs: Inputs) -> list[Experiment]:
        """The experiments, controls included, in running order.

        A recommender without content runs once, not once per representation. A deterministic recommender runs with the
        first seed only, except on controls: their vectors depend on the seed. With `budget: quick`, a trained
        recommender runs with the first seed only, and of the controls on the shuffled vectors only.
        """
        entries = [(entry.use, entry.settings, entry.label or entry.use) for entry in config.recommenders]
        named = [use for use, _, _ in entries]
        entries += [(name, {}, name) for name in BASELINES if name not in named]
        return [
            experiment
            for use, settings, label in entries
            for experiment in planned(config, inputs, use, settings, label, lambda parts: _controls(parts, config))
        ]

    def run(self, experiment: Experiment, split: Split, content: Content, workspace: Workspace) -> Cell:
        """Fit on train, rank the test's candidates."""
        split = experiment.split_of(split)
        vectors = vectors_of(experiment.control, content.vectors, split.test.train.items, experiment.seed)
        chosen_recommender = recommender(experiment.recommender, experiment.settings)
        scorer, chosen = fit(chosen_recommender, split, replace(content, vectors=vectors), experiment.seed, workspace)
        records: dict[str, pl.DataFrame] = {}
        refused: dict[str, str] = {}
        for scenario in SCENARIOS:
            task = split.test.task(scenario)
            try:
                lists = answer(scorer, task, split.test, experiment.depth, experiment.seed)
            except CannotRankError as error:
                refused[scenario] = str(error)
            else:
                records[scenario] = lists_table(lists, task, split.test.train)
        return Cell(experiment, records, refused, scorer.facts, chosen)


def _controls(parts: Recommender, config: Config) -> Iterator[tuple[str, int]]:
    quick = parts.validates and config.budget == "quick"
    controls = ("shuffled",) if quick else tuple(CONTROLS)
    for control in (REAL, *controls) if parts.uses_content else (REAL,):
        first_only = quick or (parts.deterministic and control == REAL)
        for seed in config.seeds[:1] if first_only else config.seeds:
            yield control, seed


def lists_table(lists: TopK, task: Task, train: Interactions) -> pl.DataFrame:
    """Lists as a table, one row per user: items (-1 where the candidates ran out), scores, hits, relevant items."""
    depth = lists.items.shape[1]
    judged = outcome(lists.items, task, train, lists.users)
    return pl.DataFrame(
        {
            "user": lists.users,
            "items": lists.items.astype(np.int32),
            "scores": lists.scores,
            "hits": judged.hits,
            "relevant": judged.relevant,
        },
        schema={
            "user": pl.Int32,
            "items": pl.Array(pl.Int32, depth),
            "scores": pl.Array(pl.Float32, depth),
            "hits": pl.Array(pl.Boolean, depth),
            "relevant": pl.Int32,
        },
    )
