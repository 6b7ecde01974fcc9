"""Negative sampling: drawing the rows that a positive pair is compared with."""

from __future__ import annotations

import numpy as np

from timbrec.data.interactions import Interactions
from timbrec.types import Array, Float, Int, Integer


def sample_negatives(rng: np.random.Generator, shape: tuple[int, ...], n: int | Int[Array, "..."]) -> Int[Array, "..."]:
    """Rows drawn uniformly from range(n), with replacement; `n` may be an array that broadcasts to `shape`."""
    return rng.integers(n, size=shape)


class Systematic:
    """Systematic sampling: draws `size` rows of range(n) without replacement, or all if n <= size (Madow 1949).

    `chances` (n,) are the inclusion probabilities: proportional to the positive `weights`, and at most 1.
    """

    def __init__(self, weights: Float[Array, "n"], size: int) -> None:
        certain = np.full(len(weights), size >= len(weights))
        self.chances = certain.astype(float)
        while not certain.all():
            self.chances = np.where(certain, 1, weights * (size - certain.sum()) / weights[~certain].sum())
            if not (self.chances > 1).any():
                break
            certain |= self.chances > 1
        self.edges = np.cumsum(self.chances)

    def rows(self, rng: np.random.Generator) -> Int[Array, "size"]:
        """A sample in ascending order: equidistant points one apart, from a random start, on the summed chances."""
        points = rng.random() + np.arange(round(self.edges[-1]))
        return np.searchsorted(self.edges, points, side="right").clip(max=len(self.edges) - 1)


class Unplayed:
    """Draws users who have not played an item, uniformly and without rejection.

    The r-th of these users has the row r plus the number of the item's players before that row. `others` holds, for
    each play in ascending order of item and user, the number of other users before the player. An item that every
    user has played has no such user; its negatives are drawn from all users.
    """

    def __init__(self, pairs: Interactions) -> None:
        order = np.argsort(pairs.item, kind="stable")
        item, user = pairs.item[order], pairs.user[order]
        self.players, self.n_users = pairs.item_users, pairs.n_users
        self.start = np.cumsum(self.players) - self.players
        others_before = user - (np.arange(len(item)) - self.start[item])
        self.others = others_before.astype(np.int32 if self.n_users < 2**31 else np.int64)

    def users(self, rng: np.random.Generator, items: Int[Array, "n"], count: int) -> Int[Array, "n count"]:
        """`count` users for each item, with replacement."""
        left = self.n_users - self.players[items]
        has_others = (left > 0)[:, None]
        drawn = sample_negatives(rng, (len(items), count), np.where(left > 0, left, self.n_users)[:, None])
        starts = np.broadcast_to(self.start[items][:, None], drawn.shape)
        players_before = _up_to(self.others, starts, starts + self.players[items][:, None], drawn)
        return np.where(has_others, drawn + players_before, drawn)


def _up_to(
    ascending: Integer[Array, "m"], starts: Int[Array, "*n"], ends: Int[Array, "*n"], limits: Int[Array, "*n"]
) -> Int[Array, "*n"]:
    """How many of ascending[starts:ends] are at most `limits`, by bisection of all ranges at once."""
    low, high = starts, ends
    while (left := low < high).any():
        middle = (low + high) // 2
        above = left & (ascending[np.where(left, middle, 0)] > limits)
        low, high = np.where(left & ~above, middle + 1, low), np.where(above, middle, high)
    return low - starts
