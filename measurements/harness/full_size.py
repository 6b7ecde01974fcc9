"""One scenario of full size with random lists, for the cost of comparing many lines."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from timbrec.data.interactions import Interactions
from timbrec.data.split import Task
from timbrec.metrics.shared.base import Outcome

LINES, USERS, ITEMS, RELEVANT, K = 60, 10_000, 500, 14, 50


def task_and_outcomes(seed: int = 0) -> tuple[Task, Iterator[Outcome]]:
    """A task, and the outcome of each line, made on access: lists of K + 1 items."""
    rng = np.random.default_rng(seed)
    users, held = np.repeat(np.arange(USERS), RELEVANT), rng.integers(0, ITEMS, USERS * RELEVANT)
    pairs = np.unique(users * ITEMS + held)
    users, held = pairs // ITEMS, pairs % ITEMS
    relevant = Interactions(users, held, np.ones(len(pairs), np.int64), None, USERS, ITEMS)
    return Task("cold", np.arange(ITEMS), relevant), _outcomes(relevant, rng)


def _outcomes(relevant: Interactions, rng: np.random.Generator) -> Iterator[Outcome]:
    mask = np.zeros((USERS, ITEMS), bool)
    owners, held = relevant.of_users(np.arange(USERS))
    mask[owners, held] = True
    counts = mask.sum(1)
    for _ in range(LINES):
        order = rng.permutation(ITEMS)
        starts, steps = rng.integers(0, ITEMS, (USERS, 1)), rng.choice([1, 3, 7, 9, 11], (USERS, 1))
        items = order[(starts + steps * np.arange(K + 1)) % ITEMS]
        hits = np.take_along_axis(mask, items, 1)
        yield Outcome(
            items=items, hits=hits, relevant=counts, relevant_cold=counts, candidates=np.full(USERS, ITEMS),
            cold=np.ones(ITEMS, bool), popularity=np.zeros(ITEMS), pool=ITEMS,
        )  # fmt: skip
