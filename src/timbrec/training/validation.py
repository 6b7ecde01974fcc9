"""Validation: how well a scorer ranks what came after its train part."""

from __future__ import annotations

from timbrec.data.split import Fold, Scenario, Task
from timbrec.errors import DataError
from timbrec.metrics.ndcg import NDCG
from timbrec.protocols import Scorer
from timbrec.ranking.outcomes import outcome
from timbrec.ranking.rank import rank


def question(fold: Fold, scenario: Scenario, can_rank_cold: bool) -> Task:
    """The ranking task of one scenario; the hot one for what cannot rank cold items.

    Raises DataError when nobody has anything to be found in it.
    """
    task = fold.task(scenario if can_rank_cold else "hot")
    if not len(task.users):
        raise DataError(
            f"the validation fold has no {task.scenario} pairs to stop on",
            fix="Validate on a longer time, set `stop_on` to another scenario, or fit without validation.",
        )
    return task


def validate(scorer: Scorer, fold: Fold, scenario: Scenario = "mixed", k: int = 50) -> float:
    """Mean NDCG@k of a scenario of the fold, over full candidate lists without each user's train items."""
    task = question(fold, scenario, scorer.can_rank_cold)
    top = rank(scorer, task.users, task.candidates, fold.train, k)
    return NDCG(k).value(outcome(top.items, task, fold.train))
