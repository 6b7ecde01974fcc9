"""A planted world: a listening log drawn from known item vectors, so the right answer is known."""

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
_PAIRS = (35, 10, 15)  # median number of tracks that a user plays first in each period
_TASTES = 3  # tastes of a user
_TASTE_DIM = 8  # dimension of the taste space
_GROUP_DIM = 8  # dimension of co-listening, which vectors do not contain
_COPIES = 0.03  # share of items that are near-duplicates of another item
_USERS_AT_ONCE = 512


@dataclass(frozen=True)
class PlantedWorld:
    """Users, items and plays. A user's items are drawn without replacement, each in proportion to exp(utility).

    Three dials weigh the parts of the utility: `dial` the user's taste, `popularity` the appeal that an item has for
    everyone, `co_listening` a taste that the vectors do not contain. With all three at 0 every unplayed item is equally
    likely. A third of the items is released in the last two periods (validation and test), so both folds have hot and
    cold pairs. Row i of the split's items is item i, and row u of its users is user u. The same seed gives the same
    world.

    `rough` makes the vectors resemble those of large networks: scales of the coordinates are log-normal with this
    standard deviation, and nuisance has heavy tails. With 0 the vectors are normal, up to a rotation.
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
        """The dated log: the first play of each pair, and repeated plays until the end of the last period."""
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
        """The log split by the protocol `corrected`. Every user has train pairs."""
        return by_time(self.events, START, VALIDATE_AT, TEST_AT, END)

    def vectors(self, quality: float, seed: int = 0) -> Float32[Array, "items dim"]:
        """Vectors of an encoder of this quality: their correlation with the taste latents, in [0, 1].

        They resemble real vectors: a common mean twice as long as the deviations of the items, nuisance
        directions with up to twice the deviation of a taste direction, unequal norms, a random rotation, and
        near-duplicates that are almost equal.
        """
        rng = self._rng("encoder", seed)
        taste = quality * self._latents + np.sqrt(1 - quality**2) * rng.standard_normal((self.items, _TASTE_DIM))
        nuisance = rng.standard_normal((self.items, self.dim - _TASTE_DIM)) * np.geomspace(
            2, 0.001, self.dim - _TASTE_DIM
        )
        unruly = self._rng("rough", seed)
        nuisance *= np.exp(self.rough * unruly.standard_normal(nuisance.shape))
        points = np.concatenate([taste, nuisance], 1)[self._original]
        points += 0.02 * rng.standard_normal(points.shape)
        mean = rng.standard_normal(self.dim)
        points += 2 * mean / np.linalg.norm(mean) * np.sqrt((points**2).sum(1).mean())
        rotation, _ = np.linalg.qr(rng.standard_normal((self.dim, self.dim)))
        norms = np.exp(0.2 * rng.standard_normal((self.items, 1)))
        scales = np.exp(self.rough * unruly.standard_normal(self.dim))
        return (norms * (points @ rotation) * scales).astype(np.float32)

    def oracle(self) -> Scorer:
        """A scorer by utility. No recommender can expect better lists, so its metrics are the ceiling."""
        return _Oracle(self)

    def utility(self, users: Int[Array, "u"], items: Int[Array, "n"]) -> Float[Array, "u n"]:
        """Log of the weight with which each of these users draws each of these items."""
        tastes, shared = self._users
        chosen = self._latents[self._original[items]]
        liked = self.dial * 3 * np.einsum("ukd,nd->ukn", tastes[users], chosen, optimize=True)
        together = self.co_listening * shared[users] @ self._shared[items].T
        return np.logaddexp.reduce(liked, 1) + self.popularity * self._appeal[items] + together

    def _first_plays(self) -> list[tuple[Int[Array, "n"], Int[Array, "n"], Int[Array, "n"]]]:
        """User, item and period of every pair, by Gumbel top-k: draws without replacement by exp(utility)."""
        rng = self._rng("plays")
        activity = np.exp(0.5 * rng.standard_normal(self.users))
        blocks = []
        for users in np.array_split(np.arange(self.users), -(-self.users // _USERS_AT_ONCE)):
            score = self.utility(users, np.arange(self.items)) + rng.gumbel(size=(len(users), self.items))
            for period, typical in enumerate(_PAIRS):
                released = np.where(self._released <= period, score, -np.inf)
                counts = np.clip(np.rint(activity[users] * typical), 2, self.items // 4).astype(np.int64)
                order = np.argsort(-released, axis=1)[:, : counts.max()]
                rows, places = np.nonzero(np.arange(order.shape[1]) < counts[:, None])
                chosen = order[rows, places]
                score[rows, chosen] = -np.inf
                blocks.append((users[rows], chosen, np.full(len(rows), period)))
        return blocks

    @cached_property
    def _latents(self) -> Float[Array, "items taste"]:
        return self._rng("latents").standard_normal((self.items, _TASTE_DIM))

    @cached_property
    def _original(self) -> Int[Array, "items"]:
        """For each item, the item that its vector belongs to: itself, or another item for a near-duplicate."""
        rng = self._rng("copies")
        original = np.arange(self.items)
        copies = rng.choice(self.items, int(_COPIES * self.items), replace=False)
        original[copies] = rng.choice(np.delete(original, copies), len(copies))
        return original

    @cached_property
    def _appeal(self) -> Float[Array, "items"]:
        return self._rng("appeal").standard_normal(self.items)

    @cached_property
    def _shared(self) -> Float[Array, "items group"]:
        return self._rng("together").standard_normal((self.items, _GROUP_DIM))

    @cached_property
    def _users(self) -> tuple[Float[Array, "users tastes taste"], Float[Array, "users group"]]:
        """Tastes of each user, and their place in co-listening; all vectors have length 1."""
        rng = self._rng("users")
        tastes = rng.standard_normal((self.users, 1, _TASTE_DIM)) + rng.standard_normal(
            (self.users, _TASTES, _TASTE_DIM)
        )
        shared = rng.standard_normal((self.users, _GROUP_DIM))
        return tuple(part / np.linalg.norm(part, axis=-1, keepdims=True) for part in (tastes, shared))

    @cached_property
    def _released(self) -> Int[Array, "items"]:
        """The period in which each item is released."""
        edges = np.cumsum(np.array(_NEW) * self.items).round()[:-1]
        return np.searchsorted(edges, self._rng("releases").permutation(self.items), "right")

    @cached_property
    def _ids(self) -> tuple[Array, Array]:
        """Random ids of users, in ascending order like a vocabulary, and of items."""
        rng = self._rng("ids")
        users, items = (rng.integers(16**11, 16**12, n) for n in (self.users, self.items))
        return tuple(np.array([f"{number:x}" for number in numbers]) for numbers in (np.sort(users), items))  # type: ignore[return-value]

    def _rng(self, what: str, *seed: int) -> np.random.Generator:
        """A random stream for each purpose, so that a dial changes no other draw."""
        return np.random.default_rng([self.seed, *what.encode(), *seed])


@dataclass(frozen=True, eq=False)
class _Oracle(Scorer):
    world: PlantedWorld

    def bind(self, items: Int[Array, "n"], device: torch.device) -> BoundScorer:
        """Prepare to look up utilities."""
        import torch

        def score(rows: Int[Array, "u"], out: torch.Tensor) -> None:
            out.copy_(torch.from_numpy(self.world.utility(rows, items)))

        return score


def _seconds(moment: datetime) -> float:
    return (moment - START) / timedelta(seconds=1)
