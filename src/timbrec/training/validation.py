"""Validation: how well a scorer ranks what came after its train part."""

from __future__ import annotations

from timbrec.data.split import Fold, Half, Task
from timbrec.errors import DataError
from timbrec.metrics.ndcg import NDCG
from timbrec.protocols import Scorer
from timbrec.ranking.outcomes import outcome
from timbrec.ranking.rank import rank


def question(fold: Fold, half: Half, can_rank_cold: bool) -> Task:
    """The ranking task of one half; the hot one for what cannot rank cold items.

    Raises DataError when nobody has anything to be found in it.
    """
    task = fold.task(half if can_rank_cold else "hot")
    if not len(task.users):
        raise DataError(
            f"the validation fold has no {task.half} pairs to stop on",
            fix="Validate on a longer time, set `stop_on` to another half, or fit without validation.",
        )
    return task


def validate(scorer: Scorer, fold: Fold, half: Half = "mixed", k: int = 50) -> float:
    """Mean NDCG@k of a half of the fold: full candidate lists without what the users have in the fold's train part."""
    task = question(fold, half, scorer.can_rank_cold)
    top = rank(scorer, task.users, task.candidates, fold.train, k)
    return NDCG(k).value(outcome(top.items, task, fold.train))
