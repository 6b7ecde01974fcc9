"""Recommenders that are trained, on a small planted world: is what they say of their training true?"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from timbrec.audit import plain
from timbrec.audit.audited import SEED
from timbrec.audit.finding import Finding
from timbrec.audit.trial import Trial
from timbrec.data.interactions import Interactions
from timbrec.protocols import Workspace
from timbrec.ranking.rank import rank
from timbrec.recommenders.bert4rec import BERT4Rec
from timbrec.recommenders.contrastive import Contrastive
from timbrec.recommenders.hybrid import Hybrid
from timbrec.recommenders.shallow import ShallowNet, ShallowScorer, Table
from timbrec.training import TrainedRecommender
from timbrec.training.negatives import Unplayed

_USERS, _DRAWS = 25_000, 40  # more users than any constant left over from another data set; draws per user
_TABLES: tuple[Table, ...] = ("users", "items")

_SHALLOW = ShallowNet(epochs=2, batch=2_000, width=32)
SMALL: dict[str, TrainedRecommender] = {
    "shallow": _SHALLOW,
    "contrastive": Contrastive(epochs=2, width=32, factors=32, elsa_epochs=1),
    "hybrid": Hybrid(epochs=2, width=32),
    "bert4rec": BERT4Rec(epochs=1, width=32, feed_forward=32, layers=1, length=50),
}


def negatives_cover_all_users(trial: Trial) -> Finding:
    """Negatives fall on users of every tenth of the rows alike, and never on users who have played the item."""
    pairs = _random_pairs()
    items = np.repeat(np.arange(pairs.n_items), _USERS // pairs.n_items)
    drawn = Unplayed(pairs).users(np.random.default_rng(SEED), items, _DRAWS)
    tenths = np.bincount(drawn.ravel() * 10 // _USERS, minlength=10)
    off = float(np.abs(tenths - drawn.size / 10).max() / np.sqrt(drawn.size / 10))
    unseen = _USERS - len(np.unique(drawn))
    played = int(np.isin(drawn * pairs.n_items + items[:, None], pairs.user * pairs.n_items + pairs.item).sum())
    fitted = _fitted(trial, _SHALLOW).facts["users drawn as negatives"]
    return Finding(
        off < 5 and not unseen and not played and fitted == 1.0,
        f"{unseen:,} of {_USERS:,} users never drawn, {played:,} negatives played",
        "none",
        f"tenths of the users at most {off:.1f} standard deviations off; Shallow Net drew {fitted:.0%} of its users",
    )


def frozen_stays_frozen(trial: Trial) -> Finding:
    """Shallow Net's tables: the learned one moved, the other did not, in the weights and in what it reports."""
    wrong = []
    for learned in _TABLES:
        scorer = _fitted(trial, replace(_SHALLOW, learned=(learned,)))
        moved, told = _moved(trial, scorer), {table: scorer.facts[f"moved {table}"] > 0 for table in _TABLES}
        for table in _TABLES:
            for what, seen in (("", moved[table]), (" by its report", told[table])):
                if seen != (table == learned):
                    wrong.append(f"learned={learned}: the {table} table {'moved' if seen else 'stayed'}{what}")
    return Finding(not wrong, f"{len(wrong)} of {4 * len(_TABLES)} wrong", "none", "; ".join(wrong))


def served_is_trained(trial: Trial) -> Finding:
    """The item vectors that are served are those of the tower as the loss saw them: of length 1, and the same."""
    off = []
    for name in ("shallow", "contrastive", "hybrid"):
        scorer = _fitted(trial, SMALL[name])
        table = scorer.scaling(trial.small_content.vectors)
        with torch.no_grad():
            trained = scorer.tower(torch.from_numpy(table)).numpy()
        lengths = np.linalg.norm(scorer.items[trained.any(1)], axis=1)  # a tower whose last ReLU is dead gives zero
        off.append((float(max(np.abs(scorer.items - trained).max(), np.abs(lengths - 1).max())), name))
    most, where = max(off)
    return Finding(most < 1e-5, f"off by {most:.2g}", "at most 1e-05", f"farthest: {where}")


def validation_ranks(trial: Trial) -> Finding:
    """What training stopped on is the NDCG@50 of full lists for users with their history, worked out again plainly."""
    off = [(abs(told - again), name) for name, told, again in _validations(trial)]
    most, where = max(off, key=lambda one: np.nan_to_num(one[0], nan=np.inf))
    return Finding(most < 1e-6, f"off by {most:.2g}", "at most 1e-06", f"{len(off)} recommenders; farthest: {where}")


def _validations(trial: Trial) -> Iterator[tuple[str, float, float]]:
    fold = trial.small.split.validation
    for name, made in SMALL.items():
        with TemporaryDirectory() as folder:
            rng, workspace = np.random.default_rng(SEED), Workspace(Path(folder))
            scorer = made.fit(fold.train, trial.small_content, fold, rng, workspace)
            log = [json.loads(line) for line in (Path(folder) / "log.jsonl").read_text().splitlines()]
        task = fold.task("mixed")
        lists = rank(scorer, task.users, task.candidates, fold.train, 50)
        again = plain.values("ndcg@50", lists.items, task.users, task.relevant, fold.train)
        yield name, log[scorer.chosen["epochs"] - 1].get("ndcg@50 mixed", np.nan), float(again.mean())


def _fitted(trial: Trial, made: TrainedRecommender) -> Any:
    """A scorer with its tower, scaling and facts, after exactly the epochs that are set."""
    return made.fit(trial.small.split.test.train, trial.small_content, None, np.random.default_rng(SEED))


def _moved(trial: Trial, scorer: ShallowScorer) -> dict[str, bool]:
    """Which table is no longer what it started as: the content, and the means of what users played."""
    start = scorer.scaling(trial.small_content.vectors)
    users = replace(scorer, table=start).user_vectors(trial.small.split.test.train)
    return {
        "users": not np.allclose(scorer.users, users, atol=1e-5),
        "items": not np.array_equal(scorer.table, start),
    }


def _random_pairs() -> Interactions:
    """A few plays of many users."""
    rng = np.random.default_rng(SEED)
    pairs = np.unique(rng.integers(0, [_USERS, 50], (2 * _USERS, 2)), axis=0)
    return Interactions(pairs[:, 0], pairs[:, 1], np.ones(len(pairs), np.int64), None, _USERS, 50)
