"""Equivariance: renumbering users and tracks renumbers the lists and changes nothing else."""

from __future__ import annotations

import numpy as np

from timbrec.audit.audited import SEED
from timbrec.audit.finding import Finding, nothing_to_check
from timbrec.audit.trial import METRIC, QUALITIES, Trial
from timbrec.data.interactions import Interactions
from timbrec.data.split import Fold
from timbrec.protocols import Content, Recommender
from timbrec.ranking.rank import TopK, rank
from timbrec.types import Array, Float32, Int

_DIAL = 0.5
_SAME = 0.99  # rounding may swap neighbours whose scores are equal to the last digits


def relabelling(trial: Trial) -> Finding:
    """Compare lists with the lists after renumbering users and tracks at random, for deterministic recommenders."""
    names = [name for name, recommender in trial.recommenders.items() if recommender.deterministic]
    if not names:
        return nothing_to_check("every recommender on trial draws from its seed")
    fold, vectors = trial.worlds[_DIAL].split.test, trial.vectors(_DIAL, QUALITIES[-1])
    same = min((_agreement(trial.recommenders[name], fold, vectors), name) for name in names)
    return Finding(same[0] >= _SAME, f"{same[0]:.1%} the same", f"at least {_SAME:.0%}", f"least: {same[1]}")


def _agreement(recommender: Recommender, fold: Fold, vectors: Float32[Array, "items dim"]) -> float:
    """The share of places with the same track before and after renumbering."""
    rng = np.random.default_rng(SEED)
    user, item = rng.permutation(fold.train.n_users), rng.permutation(fold.train.n_items)
    moved = np.empty_like(vectors)
    moved[item] = vectors
    other = Fold(*(_renumbered(part, user, item) for part in (fold.train, fold.hot, fold.cold)))
    before, after = _lists(recommender, fold, vectors), _lists(recommender, other, moved)
    order = np.argsort(user[before.users])  # a task's users are in ascending order of rows
    return float((item[before.items[order]] == after.items).mean())


def _renumbered(part: Interactions, user: Int[Array, "users"], item: Int[Array, "items"]) -> Interactions:
    frame = part.frame().with_columns(user=user[part.user], item=item[part.item])
    return Interactions.of(frame, part.n_users, part.n_items)


def _lists(recommender: Recommender, fold: Fold, vectors: Float32[Array, "items dim"]) -> TopK:
    """Lists of the mixed scenario, with hot and cold candidates."""
    scorer = recommender.fit(fold.train, Content(vectors), None, np.random.default_rng(SEED))
    task = fold.task("mixed")
    return rank(scorer, task.users, task.candidates, fold.train, METRIC.k)
