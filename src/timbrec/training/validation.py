"""Validation: how well a scorer ranks the pairs that follow its train part."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from timbrec.data.interactions import Interactions
from timbrec.data.split import Fold, Scenario, Task
from timbrec.errors import DataError
from timbrec.metrics.ndcg import NDCG
from timbrec.metrics.shared.base import mean
from timbrec.protocols import Scorer
from timbrec.ranking.outcomes import outcome
from timbrec.ranking.rank import rank
from timbrec.types import Array, Int

_USERS = 2**16  # ranked at once


def validation_task(fold: Fold, scenario: Scenario, can_rank_cold: bool) -> Task:
    """The ranking task of a scenario of the fold, with the fold's candidates; the hot task if cold items cannot be
    ranked.

    Raises DataError if the scenario has no pairs.
    """
    task = fold.task(scenario if can_rank_cold else "hot")
    if not len(task.users):
        raise DataError(
            f"the validation fold has no {task.scenario} pairs to stop on",
            fix="Validate on a longer period, or set `stop_on` to another scenario or to `nothing`.",
        )
    return task


def validate(scorer: Scorer, fold: Fold, scenario: Scenario = "mixed", k: int = 50) -> float:
    """Mean NDCG@k over the users of a scenario, with all candidates ranked except each user's train items.

    In [0, 1]; of the hot scenario if the scorer cannot rank cold items. Raises DataError if the scenario has no pairs.
    """
    return validated(lambda users: scorer, validation_task(fold, scenario, scorer.can_rank_cold), fold.train, k)


def validated(scorer: Callable[[Int[Array, "u"]], Scorer], task: Task, train: Interactions, k: int = 50) -> float:
    """Mean NDCG@k over the users of a task. `scorer` returns one that ranks for these users.

    Users are ranked in blocks: the lists of a million users would take more memory than their vectors.
    """
    metric, values = NDCG(k), []
    for start in range(0, len(task.users), _USERS):
        users = task.users[start : start + _USERS]
        top = rank(scorer(users), users, task.candidates, train, k)
        values.append(metric.values(outcome(top.items, task, train, users)))
    return mean(np.concatenate(values))
