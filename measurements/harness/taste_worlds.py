"""Worlds of users and items with ranked lists from scores of known quality.

A world draws users and items anew from one process; the number of candidates is fixed. Users and items have latent
tastes, and items have a popularity. The relevant items of a user are drawn by affinity and popularity, without
replacement. A line scores every item by its quality times the true affinity, plus noise of its own: directions of users
and items that have nothing to do with taste, and hubs, items that it ranks high for everybody. Five lines have the same
quality and therefore the same true value; others are worse by known gaps; the last line is popularity.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from timbrec.data.interactions import Interactions
from timbrec.data.split import SCENARIOS, Scenario, Task
from timbrec.metrics.shared.base import Outcome

EQUAL = 5
GAPS = (0.1, 0.2, 0.4, 0.8)  # quality by which further lines are worse
LINES = EQUAL + len(GAPS) + 1
DIM = 4


@dataclass(frozen=True)
class Kind:
    """A process that draws worlds."""

    name: str
    users: int = 150
    known: int = 150  # items in train
    new: int = 60  # cold items
    relevant: float = 2.0  # mean number of test pairs of a user, less 1
    heavy: float = 0.0  # standard deviation of the logarithm of a user's number of pairs
    popularity: float = 0.6  # standard deviation of the logarithm of an item's popularity
    artist: float = 0.0  # share of an item's latent vectors, noise and popularity that its artist has
    hubs: float = 0.7  # standard deviation of a line's own score of an item, the same for all users
    seeds: int = 1
    training: float = 0.5  # size of the noise that a seed adds, where there are several seeds
    k: int = 20


KINDS = (
    Kind("plain"),
    Kind("heavy-tailed users", heavy=1.2),
    Kind("few cold tracks", new=25, k=10),
    Kind("strong popularity", popularity=1.8),
    Kind("clustered artists", artist=0.7),
)


@dataclass(frozen=True, eq=False)
class World:
    """One draw: a task, the outcomes of every line by seed, and the artist of every item."""

    task: Task
    outcomes: list[list[Outcome]]
    artists: np.ndarray


def draw(kind: Kind, scenario: Scenario, seed: int) -> World:
    """Users, items, relevant pairs and the lists of all lines."""
    rng = np.random.default_rng([seed, len(kind.name), SCENARIOS.index(scenario)])
    n, n_items = kind.users, kind.known + kind.new
    artists = rng.integers(0, n_items // 6, n_items)
    artists[kind.known :] += n_items  # artists of new tracks are not known from train
    taste, vectors = rng.standard_normal((n, DIM), np.float32), _by_artist(kind, artists, DIM, rng)
    popularity = kind.popularity * _by_artist(kind, artists, 1, rng)[:, 0]
    affinity = taste @ vectors.T / DIM**0.5
    every = np.arange(n_items)
    candidates = {"hot": every[: kind.known], "cold": every[kind.known :], "mixed": every}[scenario]
    relevant, seen = _pairs(kind, affinity + popularity, candidates, rng)
    users, held = np.nonzero(relevant)
    ones = np.ones(len(users), np.int64)
    task = Task(scenario, candidates, Interactions(users, held, ones, None, n, n_items))
    outcomes = []
    for quality in [1.0] * EQUAL + [1.0 - gap for gap in GAPS]:
        scores = quality * affinity + _noise(kind, artists, rng)
        trained = [scores]
        if kind.seeds > 1:
            trained = [scores + kind.training * _noise(kind, artists, rng) for _ in range(kind.seeds)]
        outcomes.append([_outcome(table, relevant, candidates, seen, kind.k) for table in trained])
    everybody = np.broadcast_to(popularity, affinity.shape)
    outcomes.append([_outcome(everybody, relevant, candidates, seen, kind.k)] * kind.seeds)
    return World(task, outcomes, artists)


def _noise(kind: Kind, artists: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A line's scores that have nothing to do with taste: directions of its own, and hubs."""
    users = rng.standard_normal((kind.users, DIM), np.float32)
    hubs = kind.hubs * _by_artist(kind, artists, 1, rng)[:, 0]
    return np.asarray(users @ _by_artist(kind, artists, DIM, rng).T / DIM**0.5 + hubs)


def _by_artist(kind: Kind, artists: np.ndarray, dim: int, rng: np.random.Generator) -> np.ndarray:
    """Standard normal vectors of items, of which their artist decides a share."""
    own = rng.standard_normal((len(artists), dim), np.float32)
    if not kind.artist:
        return own
    shared = rng.standard_normal((int(artists.max()) + 1, dim), np.float32)[artists]
    return np.asarray(kind.artist**0.5 * shared + (1 - kind.artist) ** 0.5 * own, np.float32)


def _pairs(
    kind: Kind, affinity: np.ndarray, candidates: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Relevant and seen pairs as (users, items) masks: the first items a user plays are seen, if they are known."""
    n = len(affinity)
    activity = np.exp(kind.heavy * rng.standard_normal(n) - kind.heavy**2 / 2)
    count = np.minimum(1 + rng.poisson(kind.relevant * activity), len(candidates) // 3)
    seen = np.zeros(affinity.shape, bool)
    first = affinity[:, : kind.known] + _gumbel((n, kind.known), rng)
    seen[np.arange(n)[:, None], np.argpartition(-first, 5, 1)[:, :5]] = True
    keys = affinity + _gumbel(affinity.shape, rng)
    keys[seen] = -np.inf
    order = np.argsort(-keys[:, candidates], 1)
    relevant = np.zeros(affinity.shape, bool)
    rows, places = np.nonzero(np.arange(order.shape[1]) < count[:, None])
    relevant[rows, candidates[order[rows, places]]] = True
    return relevant, seen


def _gumbel(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    return np.asarray(-np.log(rng.standard_exponential(shape, np.float32) + 1e-12))


def _outcome(scores: np.ndarray, relevant: np.ndarray, candidates: np.ndarray, seen: np.ndarray, k: int) -> Outcome:
    depth, rows = min(k + 1, len(candidates)), np.arange(len(scores))[:, None]
    keys = np.where(seen[:, candidates], np.float32(np.inf), -scores[:, candidates])
    best = np.argpartition(keys, depth - 1, 1)[:, :depth]
    best = best[rows, np.argsort(keys[rows, best], 1)]
    items = candidates[best]
    n_items = relevant.shape[1]
    return Outcome(
        items=items, hits=relevant[rows, items], relevant=relevant.sum(1),
        relevant_cold=np.zeros(len(scores), np.int64),
        candidates=(~seen[:, candidates]).sum(1), cold=np.zeros(n_items, bool), popularity=np.zeros(n_items),
        pool=len(candidates),
    )  # fmt: skip
