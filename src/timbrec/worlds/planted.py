"""A planted world: a listening log that item vectors caused, so that the right answer is known beforehand."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from timbrec.data.cuts import by_time
from timbrec.data.events import Events, make_events
from timbrec.data.split import Split
from timbrec.data.vocabulary import Vocabulary
from timbrec.protocols import Scorer
from timbrec.types import Array, Float, Float32, Int

if TYPE_CHECKING:
    import torch

    from timbrec.protocols import BoundScorer

START, VALIDATE_AT, TEST_AT, END = (
    datetime(2018, 2, 1), datetime(2019, 1, 1), datetime(2019, 2, 1), datetime(2019, 3, 1),
)  # fmt: skip

_PERIODS = ((START, VALIDATE_AT), (VALIDATE_AT, TEST_AT), (TEST_AT, END))
_NEW = (0.7, 0.15, 0.15)  # share of the items released in each period
_PAIRS = (35, 10, 15)  # tracks a typical user plays for the first time in each period
_TASTES = 3  # of a user
_HEARD = 8  # directions of the latent space that tastes lie in
_TOGETHER = 8  # directions of what is listened to together for no audible reason
_COPIES = 0.03  # share of the items that are near-duplicates of another
_USERS_AT_ONCE = 512


@dataclass(frozen=True)
class PlantedWorld:
    """Users, items, and plays drawn with probability in proportion to exp(utility), each pair once for the first time.

    `dial` says how strongly taste decides, `popularity` how unequal the items are for everyone alike, and
    `co_listening` how much what is played together has reasons no encoder can hear. With all three at 0 every
    unplayed item is equally likely. A third of the items appear in the last two periods (validation, test), so both
    folds have hot and cold scenarios. Row i of the split's items is item i; users likewise. The same for the same seed.

    `rough` makes the vectors as unruly as those of large networks: coordinates of very unequal scale (the log of it has
    this standard deviation) and nuisance with heavy tails. With 0 they are rotated normal ones.
    """

    users: int = 1_500
    items: int = 1_500
    dial: float = 1.0
    popularity: float = 0.5
    co_listening: float = 0.5
    dim: int = 64
    seed: int = 0
    rough: float = 0.0

    @cached_property
    def events(self) -> Events:
        """The dated log: the first play of each pair, and repeated plays up to the end of the window."""
        user, item, period = (np.concatenate(parts) for parts in zip(*self._first_plays(), strict=True))
        rng = self._rng("times")
        lows, highs = (np.array([_seconds(edge[side]) for edge in _PERIODS])[period] for side in (0, 1))
        first = lows + rng.random(len(period)) * (highs - lows)
        again = np.repeat(np.arange(len(period)), rng.poisson(0.5, len(period)))
        later = first[again] + rng.random(len(again)) * (_seconds(END) - first[again])
        rows, seconds = np.concatenate([np.arange(len(period)), again]), np.concatenate([first, later])
        order = np.argsort(seconds)
        users, items = self._ids
        time = pl.Series(np.datetime64(START, "us") + (seconds[order] * 1e6).astype("timedelta64[us]"))
        table = pl.DataFrame({"user": users[user[rows[order]]], "item": items[item[rows[order]]]})
        return make_events(table.with_columns(time=time)).restricted_to(Vocabulary(pl.Series(items)))

    @cached_property
    def split(self) -> Split:
        """The log split in time by the `corrected` protocol; every user has train pairs."""
        return by_time(self.events, START, VALIDATE_AT, TEST_AT, END)

    def vectors(self, quality: float, seed: int = 0) -> Float32[Array, "items dim"]:
        """What an encoder of this quality hears: `quality` is the correlation with the taste latents, in [0, 1].

        As real vectors are: a mean three times as long as what differs between items, nuisance directions of up to
        three times the deviation of a taste direction, unequal norms, everything rotated; near-duplicates almost equal.
        """
        rng = self._rng("encoder", seed)
        heard = quality * self._latents + np.sqrt(1 - quality**2) * rng.standard_normal((self.items, _HEARD))
        nuisance = rng.standard_normal((self.items, self.dim - _HEARD)) * np.geomspace(2, 0.001, self.dim - _HEARD)
        unruly = self._rng("rough", seed)
        nuisance *= np.exp(self.rough * unruly.standard_normal(nuisance.shape))
        points = np.concatenate([heard, nuisance], 1)[self._original]
        points += 0.02 * rng.standard_normal(points.shape)
        mean = rng.standard_normal(self.dim)
        points += 2 * mean / np.linalg.norm(mean) * np.sqrt((points**2).sum(1).mean())
        rotation, _ = np.linalg.qr(rng.standard_normal((self.dim, self.dim)))
        norms = np.exp(0.2 * rng.standard_normal((self.items, 1)))
        scales = np.exp(self.rough * unruly.standard_normal(self.dim))
        return (norms * (points @ rotation) * scales).astype(np.float32)

    def oracle(self) -> Scorer:
        """A scorer that knows the utilities: no recommender can expect better lists, so its metrics are the ceiling."""
        return _Oracle(self)

    def utility(self, users: Int[Array, "u"], items: Int[Array, "n"]) -> Float[Array, "u n"]:
        """log of the weight with which a play of these users falls on these items."""
        tastes, shared = self._users
        chosen = self._latents[self._original[items]]
        liked = self.dial * 3 * np.einsum("ukd,nd->ukn", tastes[users], chosen, optimize=True)
        together = self.co_listening * shared[users] @ self._shared[items].T
        return np.logaddexp.reduce(liked, 1) + self.popularity * self._appeal[items] + together

    def _first_plays(self) -> list[tuple[Int[Array, "n"], Int[Array, "n"], Int[Array, "n"]]]:
        """User, item and period of every pair: Gumbel top-k, which draws without replacement by exp(utility)."""
        rng = self._rng("plays")
        activity = np.exp(0.5 * rng.standard_normal(self.users))
        found = []
        for users in np.array_split(np.arange(self.users), -(-self.users // _USERS_AT_ONCE)):
            score = self.utility(users, np.arange(self.items)) + rng.gumbel(size=(len(users), self.items))
            for period, typical in enumerate(_PAIRS):
                open_now = np.where(self._released <= period, score, -np.inf)
                counts = np.clip(np.rint(activity[users] * typical), 2, self.items // 4).astype(np.int64)
                order = np.argsort(-open_now, axis=1)[:, : counts.max()]
                rows, places = np.nonzero(np.arange(order.shape[1]) < counts[:, None])
                chosen = order[rows, places]
                score[rows, chosen] = -np.inf
                found.append((users[rows], chosen, np.full(len(rows), period)))
        return found

    @cached_property
    def _latents(self) -> Float[Array, "items heard"]:
        return self._rng("latents").standard_normal((self.items, _HEARD))

    @cached_property
    def _original(self) -> Int[Array, "items"]:
        """The item that each item sounds like: itself, but for near-duplicates."""
        rng = self._rng("copies")
        original = np.arange(self.items)
        copies = rng.choice(self.items, int(_COPIES * self.items), replace=False)
        original[copies] = rng.choice(np.delete(original, copies), len(copies))
        return original

    @cached_property
    def _appeal(self) -> Float[Array, "items"]:
        return self._rng("appeal").standard_normal(self.items)

    @cached_property
    def _shared(self) -> Float[Array, "items together"]:
        return self._rng("together").standard_normal((self.items, _TOGETHER))

    @cached_property
    def _users(self) -> tuple[Float[Array, "users tastes heard"], Float[Array, "users together"]]:
        """Several tastes of each user and one place among those who listen together, all of length 1."""
        rng = self._rng("users")
        tastes = rng.standard_normal((self.users, 1, _HEARD)) + rng.standard_normal((self.users, _TASTES, _HEARD))
        shared = rng.standard_normal((self.users, _TOGETHER))
        return tuple(part / np.linalg.norm(part, axis=-1, keepdims=True) for part in (tastes, shared))

    @cached_property
    def _released(self) -> Int[Array, "items"]:
        """The period in which an item appears."""
        edges = np.cumsum(np.array(_NEW) * self.items).round()[:-1]
        return np.searchsorted(edges, self._rng("releases").permutation(self.items), "right")

    @cached_property
    def _ids(self) -> tuple[Array, Array]:
        """Random ids; users' in ascending order, as a log's vocabulary has them."""
        rng = self._rng("ids")
        users, items = (rng.integers(16**11, 16**12, n) for n in (self.users, self.items))
        return tuple(np.array([f"{number:x}" for number in numbers]) for numbers in (np.sort(users), items))  # type: ignore[return-value]

    def _rng(self, what: str, *seed: int) -> np.random.Generator:
        """One stream per purpose: turning a dial changes no other draw."""
        return np.random.default_rng([self.seed, *what.encode(), *seed])


@dataclass(frozen=True, eq=False)
class _Oracle(Scorer):
    world: PlantedWorld

    def bind(self, items: Int[Array, "n"], device: torch.device) -> BoundScorer:
        """Look the utilities up."""
        import torch

        def score(rows: Int[Array, "u"], out: torch.Tensor) -> None:
            out.copy_(torch.from_numpy(self.world.utility(rows, items)))

        return score


def _seconds(moment: datetime) -> float:
    return (moment - START) / timedelta(seconds=1)
