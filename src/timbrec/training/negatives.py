"""Negative sampling: who stands against a positive pair."""

from __future__ import annotations

import numpy as np

from timbrec.data.interactions import Interactions
from timbrec.types import Array, Float, Int


def sample_negatives(rng: np.random.Generator, shape: tuple[int, ...], n: int | Int[Array, "..."]) -> Int[Array, "..."]:
    """Rows drawn uniformly from all of range(n), with replacement; `n` may differ along the shape, by broadcasting."""
    return rng.integers(n, size=shape)


class Systematic:
    """Draws `size` rows of range(n) without replacement; all of them where there are no more (Madow 1949).

    `chances` (n,) are the probabilities of being drawn: proportional to the positive `weights`, and at most 1.
    """

    def __init__(self, weights: Float[Array, "n"], size: int) -> None:
        sure = np.full(len(weights), size >= len(weights))
        self.chances = sure.astype(float)
        while not sure.all():
            self.chances = np.where(sure, 1, weights * (size - sure.sum()) / weights[~sure].sum())
            if not (self.chances > 1).any():
                break
            sure |= self.chances > 1
        self.edges = np.cumsum(self.chances)

    def rows(self, rng: np.random.Generator) -> Int[Array, "size"]:
        """A sample, in ascending order: the rows that a comb with teeth one apart hits, laid over all chances."""
        teeth = rng.random() + np.arange(round(self.edges[-1]))
        return np.searchsorted(self.edges, teeth, side="right").clip(max=len(self.edges) - 1)


class Unplayed:
    """Draws users who have not played an item, uniformly and without rejection.

    An item's r-th such user is r plus the number of its players before that user. Of an item that everybody played
    no user is left; its negatives are drawn from all users.
    """

    def __init__(self, pairs: Interactions) -> None:
        order = np.argsort(pairs.item, kind="stable")
        item, user = pairs.item[order], pairs.user[order]
        self.players, self.n_users = pairs.item_users, pairs.n_users
        self.start = np.cumsum(self.players) - self.players
        others_before = user - (np.arange(len(item)) - self.start[item])
        self.keys = item * (self.n_users + 1) + others_before

    def users(self, rng: np.random.Generator, items: Int[Array, "n"], count: int) -> Int[Array, "n count"]:
        """`count` users for each item, with replacement."""
        left = self.n_users - self.players[items]
        some = (left > 0)[:, None]
        drawn = sample_negatives(rng, (len(items), count), np.where(left > 0, left, self.n_users)[:, None])
        key = (items * (self.n_users + 1))[:, None] + drawn
        players_before = np.searchsorted(self.keys, key, side="right") - self.start[items][:, None]
        return np.where(some, drawn + players_before, drawn)
