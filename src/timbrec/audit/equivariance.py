"""Rows are arbitrary: renumbering users and tracks must renumber the answers, and change nothing else."""

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
    """The same lists after users and tracks were renumbered at random, hot and cold, for what no seed changes."""
    names = [name for name, made in trial.recommenders.items() if made.deterministic]
    if not names:
        return nothing_to_check("every recommender on trial draws from its seed")
    fold, vectors = trial.worlds[_DIAL].split.test, trial.vectors(_DIAL, QUALITIES[-1])
    same = min((_agreement(trial.recommenders[name], fold, vectors), name) for name in names)
    return Finding(same[0] >= _SAME, f"{same[0]:.1%} the same", f"at least {_SAME:.0%}", f"least: {same[1]}")


def _agreement(made: Recommender, fold: Fold, vectors: Float32[Array, "items dim"]) -> float:
    """The share of places that hold the same track either way."""
    rng = np.random.default_rng(SEED)
    user, item = rng.permutation(fold.train.n_users), rng.permutation(fold.train.n_items)
    moved = np.empty_like(vectors)
    moved[item] = vectors
    other = Fold(*(_renumbered(part, user, item) for part in (fold.train, fold.hot, fold.cold)))
    here, there = _lists(made, fold, vectors), _lists(made, other, moved)
    order = np.argsort(user[here.users])  # users are asked in ascending order of their rows
    return float((item[here.items[order]] == there.items).mean())


def _renumbered(part: Interactions, user: Int[Array, "users"], item: Int[Array, "items"]) -> Interactions:
    frame = part.frame().with_columns(user=user[part.user], item=item[part.item])
    return Interactions.of(frame, part.n_users, part.n_items)


def _lists(made: Recommender, fold: Fold, vectors: Float32[Array, "items dim"]) -> TopK:
    """Lists of the mixed scenario, whose candidates are both hot and cold."""
    scorer = made.fit(fold.train, Content(vectors), None, np.random.default_rng(SEED))
    task = fold.task("mixed")
    return rank(scorer, task.users, task.candidates, fold.train, METRIC.k)
