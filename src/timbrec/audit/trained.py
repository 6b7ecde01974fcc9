"""Trained recommenders on a small planted world: negatives, frozen tables, served vectors and validation."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from timbrec.audit import plain
from timbrec.audit.audited import SEED
from timbrec.audit.finding import Finding, nothing_to_check
from timbrec.audit.parts import RecommenderPart
from timbrec.audit.protocol import small
from timbrec.audit.trial import Trial
from timbrec.data.interactions import Interactions
from timbrec.protocols import Workspace
from timbrec.ranking.rank import rank
from timbrec.recommenders.bert4rec import BERT4Rec
from timbrec.recommenders.contrastive import Contrastive
from timbrec.recommenders.hybrid import Hybrid
from timbrec.recommenders.shallow import ShallowNet
from timbrec.training import Trainable, TrainedRecommender
from timbrec.training.loop import Training, train_model
from timbrec.training.negatives import Unplayed
from timbrec.training.randomness import seeded

_USERS, _DRAWS = 25_000, 40  # more users than the hard-coded 17,052 of the published defect; draws per user

_SHALLOW = ShallowNet(epochs=2, batch=2_000, width=32)
SMALL: dict[str, TrainedRecommender] = {
    "shallow": _SHALLOW,
    "contrastive": Contrastive(epochs=2, width=32, factors=32, elsa_epochs=1),
    "hybrid": Hybrid(epochs=4, width=32, lr=0.2),  # so high that the last epoch is not the best
    "bert4rec": BERT4Rec(epochs=1, width=32, feed_forward=32, layers=1, length=50),
}


def negatives_cover_all_users(trial: Trial) -> Finding:
    """Draw negative users: every tenth of the users gets its share, and no user is a negative for a played item."""
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


def frozen_stays_frozen(part: RecommenderPart) -> Finding:
    """Train a model with the part's settings: learned tables change, all other tables keep every bit.

    The same holds for the movement that the fit reports. Nothing to check for recommenders without training.
    """
    recommender = part.short
    if not isinstance(recommender, TrainedRecommender):
        return nothing_to_check("it is not trained")
    world, learned = small(), set(getattr(recommender, "learned", ()))
    train = world.split.test.train
    with seeded(SEED, 0) as rng:
        model = recommender.model(train, world.content, rng)
    start = _tables(model)
    train_model(Training(model, recommender, train, None, SEED))
    moved = {name: not torch.equal(start[name], now) for name, now in _tables(model).items()}
    fitted = recommender.fit(train, world.content, None, np.random.default_rng(SEED))
    reported = {name.removeprefix("moved "): by > 0 for name, by in fitted.facts.items() if name.startswith("moved ")}
    wrong = [f"table {name} {_moves(now)}" for name, now in moved.items() if now != (name in learned)]
    wrong += [f"table {name} {_moves(now)} by its report" for name, now in reported.items() if now != (name in learned)]
    return Finding(not wrong, f"{len(wrong)} of {len(moved) + len(reported)} wrong", "none", ", ".join(wrong))


def _moves(moved: bool) -> str:
    return "moved" if moved else "stayed"


def _tables(model: Trainable[Any]) -> dict[str, torch.Tensor]:
    """Copies of the model's tables of vectors: the reported ones and all other two-dimensional buffers."""
    names = set(model.moved())
    names |= {name for name, buffer in model.named_buffers() if "." not in name and buffer.ndim == 2}
    return {name: getattr(model, name).detach().clone() for name in sorted(names)}


def served_is_trained(trial: Trial) -> Finding:
    """Compare served item vectors with the tower's output during training: equal, and of length 1.

    Served users of Contrastive and Hybrid are the means of the served vectors of their items.
    """
    differences = []
    for name in ("shallow", "contrastive", "hybrid"):
        scorer = _fitted(trial, SMALL[name])
        table = scorer.scaling(trial.small_content.vectors)
        with torch.no_grad():
            trained = scorer.tower(torch.from_numpy(table)).numpy()
        lengths = np.linalg.norm(scorer.items[trained.any(1)], axis=1)  # a tower whose last ReLU is dead gives zero
        users = _user_difference(trial, name, scorer)
        differences.append((float(max(np.abs(scorer.items - trained).max(), np.abs(lengths - 1).max(), users)), name))
    largest, name = max(differences)
    return Finding(largest < 1e-5, f"off by {largest:.2g}", "at most 1e-05", f"farthest: {name}")


def _user_difference(trial: Trial, name: str, scorer: Any) -> float:
    """The largest difference of served users from the means of their served train items; 0 for Shallow Net."""
    if name == "shallow":
        return 0.0
    train = trial.small.split.test.train
    means = np.stack([scorer.items[train.item[train.user == user]].mean(0) for user in train.users])
    return float(np.abs(scorer.users[train.users] - means).max())


def validation_ranks(trial: Trial) -> Finding:
    """Recompute the value on which training stopped: NDCG@50 of full lists for users with histories.

    The epoch that serves must have the largest value.
    """
    differences = [(abs(logged - plain_value), name) for name, logged, plain_value in _validations(trial)]
    largest, name = max(differences, key=lambda pair: np.nan_to_num(pair[0], nan=np.inf))
    detail = f"{len(differences)} recommenders; farthest: {name}"
    return Finding(largest < 1e-6, f"off by {largest:.2g}", "at most 1e-06", detail)


def _validations(trial: Trial) -> Iterator[tuple[str, float, float]]:
    fold = trial.small.split.validation
    for name, recommender in SMALL.items():
        with TemporaryDirectory() as folder:
            rng, workspace = np.random.default_rng(SEED), Workspace(Path(folder))
            scorer = recommender.fit(fold.train, trial.small_content, fold, rng, workspace)
            log = [json.loads(line) for line in (Path(folder) / "log.jsonl").read_text().splitlines()]
        task = fold.task("mixed")
        lists = rank(scorer, task.users, task.candidates, fold.train, 50)
        values = plain.values("ndcg@50", lists.items, task.users, task.relevant, fold.train)
        logged = [entry.get("ndcg@50 mixed", np.nan) for entry in log]
        chosen = logged[scorer.chosen["epochs"] - 1]
        best = chosen >= max(logged) * (1 - recommender.least_gain) - 1e-9
        yield name, chosen if best else np.inf, float(values.mean())


def _fitted(trial: Trial, recommender: TrainedRecommender) -> Any:
    """A scorer with its tower, scaling and facts, trained for all epochs."""
    return recommender.fit(trial.small.split.test.train, trial.small_content, None, np.random.default_rng(SEED))


def _random_pairs() -> Interactions:
    """A few plays of many users."""
    rng = np.random.default_rng(SEED)
    pairs = np.unique(rng.integers(0, [_USERS, 50], (2 * _USERS, 2)), axis=0)
    return Interactions(pairs[:, 0], pairs[:, 1], np.ones(len(pairs), np.int64), None, _USERS, 50)
