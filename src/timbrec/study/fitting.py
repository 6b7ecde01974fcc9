"""Fitting of a recommender by the protocol, and its lists."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from timbrec.data.split import Fold, Split, Task
from timbrec.errors import CannotRankError
from timbrec.protocols import Content, Recommender, Scorer, Workspace
from timbrec.ranking.rank import TopK, rank


def fit(
    recommender: Recommender, split: Split, content: Content, seed: int, workspace: Workspace = Workspace()
) -> tuple[Scorer, dict[str, Any]]:
    """Fit a recommender; returns its scorer and the settings chosen in validation.

    A recommender that validates is fitted twice: on the validation fold to choose settings, and then on all of train
    with these settings. Where both folds have the same train part (tamm2026), the first scorer is returned.
    """
    if not recommender.validates:
        return recommender.fit(split.test.train, content, None, np.random.default_rng(seed), workspace), {}
    scorer = validated(recommender, split, content, seed, workspace)
    if split.validation.train.digest == split.test.train.digest:
        return scorer, scorer.chosen
    final = replace(recommender, **scorer.chosen)
    inside, rng = workspace.inside("refit"), np.random.default_rng(seed)
    return final.fit(split.test.train, content, None, rng, inside), scorer.chosen


def validated(
    recommender: Recommender, split: Split, content: Content, seed: int, workspace: Workspace = Workspace()
) -> Scorer:
    """The scorer fitted on the validation fold; `chosen` holds the settings for the final fit."""
    inside, rng = workspace.inside("validation"), np.random.default_rng(seed)
    return recommender.fit(split.validation.train, content, split.validation, rng, inside)


def answer(scorer: Scorer, task: Task, fold: Fold, depth: int, seed: int) -> TopK:
    """The scorer's lists for a task, `depth` items long. Raises CannotRankError when no user has a relevant item.

    In mixed lists, a scorer that cannot rank cold items ranks only the warm ones, as it would in service.
    """
    if not len(task.relevant):
        raise CannotRankError(f"the {task.scenario} scenario is empty: no user has a relevant item")
    candidates = task.candidates
    if task.scenario == "mixed" and not scorer.can_rank_cold:
        candidates = candidates[fold.train.item_users[candidates] > 0]
    return rank(scorer, task.users, candidates, fold.train, depth, seed=seed)
