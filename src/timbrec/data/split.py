"""Splits: what a recommender may learn from, and what it is asked afterwards.

A `Fold` is a train part with the hot and cold pairs that came after it. A `Split` is two folds: one to validate on
and one to test on. The two protocols of the study and the split for logs without time are three functions.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl

from timbrec.data.events import Events
from timbrec.data.interactions import Interactions
from timbrec.data.vocabulary import Vocabulary
from timbrec.errors import DataError
from timbrec.types import Array, Bool, Int

Scenario = Literal["hot", "cold", "mixed"]
ColdCandidates = Literal["tested", "catalogue"]
SCENARIOS: tuple[Scenario, ...] = ("hot", "cold", "mixed")


@dataclass(frozen=True, eq=False)
class Task:
    """One ranking question: put the `relevant` pairs on top among `candidates`, for every user who has any."""

    scenario: Scenario
    candidates: Int[Array, "c"]
    relevant: Interactions

    @property
    def users(self) -> Int[Array, "u"]:
        """The users asked, ascending."""
        return self.relevant.users


@dataclass(frozen=True, eq=False)
class Fold:
    """A train part and the pairs that came after it: `hot` of items in train, `cold` of items not in train.

    `cold_candidates` are those of its tasks unless a task is asked for with others; validation uses them.

    Raises DataError when a hot pair's item is not in train, a cold pair's item is, a user is not in train, or a
    pair is in train already.
    """

    train: Interactions
    hot: Interactions
    cold: Interactions
    cold_candidates: ColdCandidates = field(default="tested", kw_only=True)

    def __post_init__(self) -> None:
        seen_item, seen_user = self.train.item_users > 0, self.train.user_items > 0
        wrong = {
            "a hot scenario holds items that are not in train": self.hot.item[~seen_item[self.hot.item]],
            "a cold scenario holds items that are in train": self.cold.item[seen_item[self.cold.item]],
            "a hot scenario holds users who are not in train": self.hot.user[~seen_user[self.hot.user]],
            "a cold scenario holds users who are not in train": self.cold.user[~seen_user[self.cold.user]],
            "a hot scenario holds pairs that are in train": self.hot.user[_shared(self.hot, self.train)],
        }
        for what, rows in wrong.items():
            if len(rows):
                raise DataError(what, count=len(rows), example=f"row {int(rows[0])}", fix="Split the log again.")

    def task(self, scenario: Scenario, cold_candidates: ColdCandidates | None = None) -> Task:
        """The question of one scenario; hot, cold and mixed differ in `candidates` and `relevant` alone.

        Hot candidates are the train items. Cold candidates are the items of the cold scenario (`tested`, as in the
        study) or all the catalogue's items that are not in train (`catalogue`). Mixed is both in one list. Items the
        user has in train are left out of every list by `rank`.
        """
        tested = (cold_candidates or self.cold_candidates) == "tested"
        new = self.cold.items if tested else np.flatnonzero(self.train.item_users == 0)
        if scenario == "hot":
            return Task(scenario, self.train.items, self.hot)
        if scenario == "cold":
            return Task(scenario, new, self.cold)
        return Task(scenario, np.union1d(self.train.items, new), self.hot.joined(self.cold))


@dataclass(frozen=True, eq=False)
class Split:
    """Two folds over one user and one item vocabulary; users are those of the test fold's train part.

    `validation` chooses (epochs, settings) and `test` is looked at once. With `corrected` the validation fold is the
    same cut one month earlier, so that nothing at or after T is in it.
    """

    protocol: str
    validation: Fold
    test: Fold
    users: Vocabulary
    items: Vocabulary

    def parts(self) -> dict[str, Interactions]:
        """Every part by its name in the statistics table and in a saved split."""
        return {
            "fit": self.validation.train,
            "validation_hot": self.validation.hot,
            "validation_cold": self.validation.cold,
            "train": self.test.train,
            "test_hot": self.test.hot,
            "test_cold": self.test.cold,
        }

    @cached_property
    def digest(self) -> str:
        """A hash of every pair, id and the protocol's name."""
        parts = [self.protocol, self.users.digest, self.items.digest, *(p.digest for p in self.parts().values())]
        return hashlib.sha256(" ".join(parts).encode()).hexdigest()[:16]

    def describe(self) -> pl.DataFrame:
        """The study's statistics table: per part, its rows, users, items, and the median, least and most tracks and
        plays of a user (null for an empty part)."""
        return pl.DataFrame([{"part": name} | _statistics(pairs) for name, pairs in self.parts().items()])


def by_time(events: Events, start: datetime, validate_at: datetime, test_at: datetime, end: datetime) -> Split:
    """`corrected`: validation is the time before T, with hot and cold scenarios of its own, taken out of train.

    Events lie in [start, end). A pair belongs to the moment of its first play in the window, so a pair already
    played before T is never test; a play exactly at a boundary belongs to what follows it. `fit` counts the plays
    before `validate_at`, `train` those before `test_at`; a test pair's plays are those up to `end`.
    """
    pairs = _pairs(events, [start, validate_at, test_at, end])
    return _split("corrected", _cut(pairs, validate_at, test_at), _cut(pairs, test_at, end), events)


def tamm2026(events: Events, start: datetime, test_at: datetime, end: datetime) -> Split:
    """The study's split: one cut at T; 30 % of the users with hot but no cold test pairs validate instead.

    They are the train side of scikit-learn's `train_test_split(users, test_size=.7, random_state=42)` over those users
    in ascending id order; their hot pairs leave the hot test. Validation thus lies in the test month, has no cold
    scenario, and shares its train part with the test.
    """
    train, hot, cold = _cut(_pairs(events, [start, test_at, end]), test_at, end)
    free = np.setdiff1d(hot["user"].to_numpy(), cold["user"].to_numpy())
    validates = pl.col("user").is_in(free[_study_validation(len(free))])
    return _split(
        "tamm2026", (train, hot.filter(validates), cold.clear()), (train, hot.filter(~validates), cold), events
    )


def by_items(events: Events, seed: int, cold: float = 0.1, hot: float = 0.2, validation: float = 0.1) -> Split:
    """`item-holdout`, for logs without usable time: random items are cold, random pairs of the others are hot.

    A share `cold` of the played items is held out for the test and a share `validation` for validation; of the pairs
    on the remaining items a share `hot` is test and a share `validation` validation. Whether a held-out pair is hot
    or cold is then decided as everywhere: by whether its item is in train. Pairs of users left without train pairs
    are dropped.
    """
    pairs = _pairs(events, [])
    rng = np.random.default_rng(seed)
    items = np.unique(pairs["item"].to_numpy())
    stage_of_item = np.zeros(len(events.items), np.int8)
    stage_of_item[rng.permutation(items)] = _stages(len(items), cold, validation)
    stage = stage_of_item[pairs["item"].to_numpy()]
    warm = np.flatnonzero(stage == 0)
    stage[rng.permutation(warm)] = _stages(len(warm), hot, validation)
    fit, validated, tested = (pairs.filter(pl.lit(stage == number)) for number in (0, 1, 2))
    return _split("item-holdout", _halves(fit, validated), _halves(pl.concat([fit, validated]), tested), events)


_FILES = ("users", "items", "fit", "validation_hot", "validation_cold", "train", "test_hot", "test_cold")
_Parts = tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]  # train, hot, cold
_USERS_AT_ONCE = 16  # a group-by holds several copies of its input; a sixteenth of the users at a time bounds that


def _pairs(events: Events, cuts: list[datetime]) -> pl.DataFrame:
    """One row per pair: `first` play, and `plays` in all; with cuts, those of [cuts[0], cuts[-1]) alone, and the
    plays before each later cut under the cut's own name."""
    if cuts and not events.timed:
        raise DataError("the log has no time column", fix="Name it in `columns`, or use the item-holdout protocol.")
    if sorted(set(cuts)) != cuts:
        raise DataError("the split's times must ascend", example=[str(cut) for cut in cuts], fix="Put them in order.")
    plays = [pl.col("plays").sum()] if not cuts else [pl.col(str(cut)).sum() for cut in cuts[1:]]
    first = [pl.col("time").min().alias("first")] if events.timed else []
    before = [pl.when(pl.col("time") < cut).then("plays").otherwise(0).alias(str(cut)) for cut in cuts[1:]]
    edges = np.linspace(0, len(events.users), _USERS_AT_ONCE + 1).astype(np.int64)
    tables = []
    for low, high in pairwise(edges):
        chosen = (pl.col("user") >= low) & (pl.col("user") < high)
        if cuts:
            chosen &= (pl.col("time") >= cuts[0]) & (pl.col("time") < cuts[-1])
        some = events.table.lazy().filter(chosen).with_columns(before)
        tables.append(some.group_by("user", "item").agg(*first, *plays).sort("user", "item").collect())
    return pl.concat(tables)


def _cut(pairs: pl.DataFrame, at: datetime, until: datetime) -> _Parts:
    """Train is what was first played before `at`; what was first played from then to `until` comes after."""
    named = ["user", "item", "first"]
    train = pairs.filter(pl.col("first") < at).select(*named, plays=str(at))
    later = pairs.filter((pl.col("first") >= at) & (pl.col("first") < until)).select(*named, plays=str(until))
    return _halves(train, later)


def _halves(train: pl.DataFrame, later: pl.DataFrame) -> _Parts:
    """Later pairs of train's users: hot where train has the item, cold where it does not."""
    later = later.filter(pl.col("user").is_in(train["user"].unique().implode()))
    seen = pl.col("item").is_in(train["item"].unique().implode())
    return train, later.filter(seen), later.filter(~seen)


def _stages(n: int, test: float, validation: float) -> Int[Array, "n"]:
    """2 for the share `test` of n places, 1 for the share `validation`, 0 for the rest."""
    stages = np.zeros(n, np.int8)
    tested, validated = round(n * test), round(n * validation)
    stages[:tested] = 2
    stages[tested : tested + validated] = 1
    return stages


def _study_validation(n: int) -> Int[Array, "m"]:
    """The train side of scikit-learn's train_test_split(range(n), test_size=.7, random_state=42)."""
    shuffled = np.random.RandomState(42).permutation(n)
    return shuffled[int(np.ceil(0.7 * n)) :]


def _split(protocol: str, validation: _Parts, test: _Parts, events: Events) -> Split:
    """Folds over the test train's users and all the catalogue's items; refuses a train part with nothing in it."""
    if test[0].is_empty() or validation[0].is_empty():
        raise DataError("no play falls into the train part", fix="Move the split's times, or check the log's dates.")
    rows = np.unique(test[0]["user"].to_numpy()).astype(np.int64)
    row_of = np.full(len(events.users), -1)
    row_of[rows] = np.arange(len(rows))

    def fold(parts: _Parts) -> Fold:
        moved = (part.with_columns(user=row_of[part["user"].to_numpy()]) for part in parts)
        return Fold(*(Interactions.of(part, len(rows), len(events.items)) for part in moved))

    return Split(protocol, fold(validation), fold(test), Vocabulary(events.users.take(rows)), events.items)


def _shared(some: Interactions, other: Interactions) -> Bool[Array, "n"]:
    """Which pairs of `some` are in `other` too."""
    return np.isin(some.user * some.n_items + some.item, other.user * other.n_items + other.item)


def _statistics(pairs: Interactions) -> dict[str, int | float | None]:
    played = pairs.user_items[pairs.users]
    plays = np.bincount(pairs.user, weights=pairs.plays, minlength=pairs.n_users)[pairs.users]
    row: dict[str, int | float | None] = {"rows": len(pairs), "users": len(pairs.users), "items": len(pairs.items)}
    for name, values in (("tracks", played), ("plays", plays)):
        for statistic in (np.median, np.min, np.max):
            row[f"{name}_{statistic.__name__.removeprefix('a')}"] = float(statistic(values)) if len(values) else None
    return row


def save_split(split: Split, folder: Path) -> None:
    """Write a split as parquet files and a `split.json` with its protocol and digest; the json comes last."""
    folder.mkdir(parents=True, exist_ok=True)
    split.users.ids.to_frame().write_parquet(folder / "users.parquet")
    split.items.ids.to_frame().write_parquet(folder / "items.parquet")
    for name, pairs in split.parts().items():
        pairs.frame().write_parquet(folder / f"{name}.parquet")
    facts = {"protocol": split.protocol, "digest": split.digest}
    (folder / "split.json").write_text(json.dumps(facts, indent=2))


def load_split(folder: Path) -> Split:
    """Read what `save_split` wrote. Raises DataError when a file is missing or the digest does not match."""
    try:
        facts = json.loads((folder / "split.json").read_text())
        tables = {name: pl.read_parquet(folder / f"{name}.parquet") for name in _FILES}
        users, items = Vocabulary(tables.pop("users")["id"]), Vocabulary(tables.pop("items")["id"])
        parts = [Interactions.of(table, len(users), len(items)) for table in tables.values()]
        split = Split(facts["protocol"], Fold(*parts[:3]), Fold(*parts[3:]), users, items)
        intact = split.digest == facts["digest"]
    except (OSError, ValueError, LookupError, pl.exceptions.PolarsError) as error:
        raise DataError(f"{folder} holds no readable split: {error}", fix="Run the benchmark again.") from error
    if not intact:
        raise DataError(f"the split in {folder} was changed after it was written", fix="Run the benchmark again.")
    return split
