"""Planted worlds of two qualities: encoders with a known quality for labels and a known one for taste."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy.stats import norm

from timbrec.data.interactions import Interactions
from timbrec.data.split import Fold
from timbrec.metrics.ndcg import NDCG
from timbrec.probes.shared.labels import Targets
from timbrec.probes.shared.scoring import score
from timbrec.protocols import Content
from timbrec.ranking.outcomes import outcome
from timbrec.recommenders.knn import KNN
from timbrec.results.disparity import Side
from timbrec.statistics.agreement import covariance
from timbrec.statistics.comparison import compare
from timbrec.statistics.influence import influence
from timbrec.study.fitting import answer

TASTE, LABEL = 6, 6  # dimensions that decide plays, and labels


@dataclass(frozen=True)
class Size:
    """Numbers of users, known and new tracks, and labelled tracks."""

    users: int = 120
    known: int = 150
    new: int = 80
    labelled: int = 700
    plays: int = 15
    k: int = 20


@dataclass(frozen=True, eq=False)
class LabelWorld:
    """Two sides estimated on one world, and the true qualities of its encoders."""

    probe: Side
    recommender: Side
    label_quality: np.ndarray
    taste_quality: np.ndarray


def draw(tau: float, encoders: int, seed: int, size: Size = Size()) -> LabelWorld:
    """A world with encoders from a population in which label and taste quality have this Kendall's tau."""
    rng = np.random.default_rng([seed, round(1000 * (tau + 1))])
    correlation = np.sin(np.pi / 2 * tau)
    first = rng.standard_normal(encoders)
    second = correlation * first + np.sqrt(max(1 - correlation**2, 0)) * rng.standard_normal(encoders)
    label, taste = (0.15 + 0.8 * norm.cdf(side) for side in (first, second))
    return LabelWorld(probe_side(label, rng, size), taste_side(taste, rng, size), label, taste)


def probe_side(qualities: np.ndarray, rng: np.random.Generator, size: Size) -> Side:
    """Ridge regressions of a number on vectors of these qualities; a fifth of the tracks is tested."""
    n = size.labelled
    latents = rng.standard_normal((n, LABEL))
    heights = latents @ np.ones((LABEL, 1)) / LABEL**0.5 + 0.3 * rng.standard_normal((n, 1))
    part = np.repeat([0, 1, 2], [3 * n // 5, n // 5, n - 3 * n // 5 - n // 5])
    ids = pl.Series("id", [str(row) for row in range(n)])
    targets = Targets(ids, "numbers", heights, ("height",), part, np.arange(n))
    values, influences = [], []
    for quality in qualities:
        noise = rng.standard_normal((n, LABEL + TASTE))
        vectors = noise.copy()
        vectors[:, :LABEL] = quality * latents + np.sqrt(1 - quality**2) * noise[:, :LABEL]
        result = score(targets, vectors.astype(np.float32))
        values.append(result.primary)
        influences.append(result.test["influence"].to_numpy())
    names = tuple(str(number) for number in range(len(qualities)))
    return Side(names, np.array(values), covariance(np.stack(influences, 1)))


def taste_side(qualities: np.ndarray, rng: np.random.Generator, size: Size) -> Side:
    """KNN on vectors of these qualities, tested on new tracks."""
    n = size.known + size.new
    tracks = rng.standard_normal((n, TASTE))
    users = 1.5 * rng.standard_normal((size.users, TASTE))
    keys = users @ tracks.T + rng.gumbel(size=(size.users, n))
    train = _most(keys[:, : size.known], size.plays, n, 0)
    cold = _most(keys[:, size.known :], size.plays // 3, n, size.known)
    empty = Interactions(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.int64), None, size.users, n)
    fold = Fold(train, empty, cold)
    task = fold.task("cold")
    judged = []
    for quality in qualities:
        noise = rng.standard_normal((n, LABEL + TASTE))
        vectors = noise.copy()
        vectors[:, LABEL:] = quality * tracks + np.sqrt(1 - quality**2) * noise[:, LABEL:]
        scorer = KNN().fit(train, Content(vectors.astype(np.float32)), None, rng)
        lists = answer(scorer, task, fold, size.k + 1, 0)
        judged.append(influence([outcome(lists.items, task, train)], task, NDCG(size.k)))
    comparison = compare(judged)
    names = tuple(str(number) for number in range(len(qualities)))
    return Side(names, comparison.values, comparison.spread.covariance)


def _most(keys: np.ndarray, count: int, n_items: int, offset: int) -> Interactions:
    """Each user's `count` tracks with the largest keys: draws without replacement by exp(utility)."""
    items = np.argpartition(-keys, count, axis=1)[:, :count] + offset
    users = np.repeat(np.arange(len(keys)), count)
    pairs = pl.DataFrame({"user": users, "item": items.ravel(), "plays": np.ones(items.size, np.int64)})
    return Interactions.of(pairs, len(keys), n_items)
