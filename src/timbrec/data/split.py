"""Splits: train parts and the ranking tasks that follow them.

A `Fold` is a train part with later hot and cold pairs. A `Split` has two folds, one for validation and one for the
test. `cuts.py` makes them from a log.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl

from timbrec.data.interactions import Interactions
from timbrec.data.vocabulary import Vocabulary
from timbrec.errors import DataError
from timbrec.files import replacing, write_atomically
from timbrec.types import Array, Bool, Int

Scenario = Literal["hot", "cold", "mixed"]
Candidates = Literal["tested", "catalogue"]
ColdCandidates = Candidates
SCENARIOS: tuple[Scenario, ...] = ("hot", "cold", "mixed")


@dataclass(frozen=True, eq=False)
class Task:
    """A ranking task: rank the `candidates` for every user with `relevant` pairs, the relevant items first."""

    scenario: Scenario
    candidates: Int[Array, "c"]
    relevant: Interactions

    @property
    def users(self) -> Int[Array, "u"]:
        """The users with relevant pairs, ascending."""
        return self.relevant.users


@dataclass(frozen=True, eq=False)
class Fold:
    """A train part and later pairs: `hot` pairs of items in train, `cold` pairs of items that are not in train.

    `cold_candidates` and `mixed_candidates` choose the new items that cold and mixed lists rank: the items of the cold
    pairs (`tested`), or all catalogue items that are not in train (`catalogue`).

    Raises DataError for a hot pair of an item that is not in train, a cold pair of an item in train, a user who is not
    in train, and a pair that is already in train.
    """

    train: Interactions
    hot: Interactions
    cold: Interactions
    cold_candidates: Candidates = field(default="tested", kw_only=True)
    mixed_candidates: Candidates = field(default="tested", kw_only=True)

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

    def task(self, scenario: Scenario, cold_candidates: Candidates | None = None) -> Task:
        """The task of one scenario; scenarios differ only in `candidates` and `relevant`.

        Hot candidates are the train items, cold candidates the new items, mixed candidates the union.
        `cold_candidates` overrides both policies of the fold. `rank` leaves the user's train items out of every list.
        """
        policies = {"hot": "tested", "cold": self.cold_candidates, "mixed": self.mixed_candidates}
        key = (scenario, policies[scenario] if scenario == "hot" else cold_candidates or policies[scenario])
        if key not in self._tasks:
            self._tasks[key] = self._task(scenario, key[1])
        return self._tasks[key]

    @cached_property
    def _tasks(self) -> dict[tuple[Scenario, Candidates], Task]:
        """Tasks by scenario and policy of new items, as far as they were asked for."""
        return {}

    def _task(self, scenario: Scenario, policy: Candidates) -> Task:
        if scenario == "hot":
            return Task(scenario, self.train.items, self.hot)
        if scenario == "cold":
            return Task(scenario, self._new(policy), self.cold)
        return Task(scenario, np.union1d(self.train.items, self._new(policy)), self.hot.joined(self.cold))

    def _new(self, policy: Candidates) -> Int[Array, "n"]:
        return self.cold.items if policy == "tested" else np.flatnonzero(self.train.item_users == 0)


@dataclass(frozen=True, eq=False)
class Split:
    """Two folds over one user and one item vocabulary; every user is in the train part of the test fold.

    Epochs and settings are chosen on `validation`; `test` is used once. In the protocol `corrected`, the validation
    fold is the same cut one month earlier, without plays at or after T.
    """

    protocol: str
    validation: Fold
    test: Fold
    users: Vocabulary
    items: Vocabulary

    def with_candidates(self, cold: Candidates, mixed: Candidates) -> Split:
        """A copy with these policies for the new items that tasks rank, in both folds; the same copy every time."""
        if (cold, mixed) not in self._copies:
            validation, test = (
                replace(fold, cold_candidates=cold, mixed_candidates=mixed) for fold in (self.validation, self.test)
            )
            self._copies[cold, mixed] = replace(self, validation=validation, test=test)
        return self._copies[cold, mixed]

    @cached_property
    def _copies(self) -> dict[tuple[Candidates, Candidates], Split]:
        """Copies by their policies, as far as they were asked for."""
        return {}

    def parts(self) -> dict[str, Interactions]:
        """The parts by name, as in the table of statistics and in a saved split."""
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
        """A hash of all pairs, all ids and the name of the protocol."""
        parts = [self.protocol, self.users.digest, self.items.digest, *(p.digest for p in self.parts().values())]
        return hashlib.sha256(" ".join(parts).encode()).hexdigest()[:16]

    def describe(self) -> pl.DataFrame:
        """A row per part with its statistics, as in the paper.

        Columns are the numbers of rows, users and items, and the median, minimum and maximum of a user's tracks and
        plays (null for an empty part).
        """
        return pl.DataFrame([{"part": name} | _statistics(pairs) for name, pairs in self.parts().items()])


_RANGES = 16  # ranges of users
_FILES = ("users", "items", "fit", "validation_hot", "validation_cold", "train", "test_hot", "test_cold")


def _shared(pairs: Interactions, other: Interactions) -> Bool[Array, "n"]:
    """A mask of the pairs that are also in `other`; interactions are sorted by user, then item."""
    edges = np.linspace(0, pairs.n_users, _RANGES + 1).astype(np.int64)
    masks = []
    for low, high in pairwise(edges):  # keys of all pairs at once would take much memory
        keys, known = (_keys(part, slice(*part.starts[[low, high]])) for part in (pairs, other))
        places = np.searchsorted(known, keys)
        masks.append(np.append(known, -1)[places] == keys)
    return np.concatenate(masks)


def _keys(pairs: Interactions, rows: slice) -> Int[Array, "n"]:
    """A number per pair, in the order of pairs."""
    return pairs.user[rows] * pairs.n_items + pairs.item[rows]


def _statistics(pairs: Interactions) -> dict[str, int | float | None]:
    played = pairs.user_items[pairs.users]
    plays = np.bincount(pairs.user, weights=pairs.plays, minlength=pairs.n_users)[pairs.users]
    row: dict[str, int | float | None] = {"rows": len(pairs), "users": len(pairs.users), "items": len(pairs.items)}
    for name, values in (("tracks", played), ("plays", plays)):
        for statistic in (np.median, np.min, np.max):
            row[f"{name}_{statistic.__name__.removeprefix('a')}"] = float(statistic(values)) if len(values) else None
    return row


def save_split(split: Split, folder: Path) -> None:
    """Write a split as parquet files, then `split.json` with its protocol and digest.

    Each file appears in one step: other processes may read an equal split there meanwhile.
    """
    folder.mkdir(parents=True, exist_ok=True)
    ids = {"users": split.users.ids.to_frame(), "items": split.items.ids.to_frame()}
    for name, table in ids.items():
        _write(table, folder / f"{name}.parquet")
    for name, pairs in split.parts().items():
        _write(pairs.frame(), folder / f"{name}.parquet")
    facts = {"protocol": split.protocol, "digest": split.digest}
    write_atomically(folder / "split.json", json.dumps(facts, indent=2))


def _write(table: pl.DataFrame, path: Path) -> None:
    with replacing(path) as partial:
        table.write_parquet(partial)


def load_split(folder: Path) -> Split:
    """Read a split that `save_split` wrote. Raises DataError for a missing file or another digest."""
    try:
        facts = json.loads((folder / "split.json").read_text())
        tables = {name: pl.read_parquet(folder / f"{name}.parquet", glob=False) for name in _FILES}
        users, items = Vocabulary(tables.pop("users")["id"]), Vocabulary(tables.pop("items")["id"])
        parts = [Interactions.of(table, len(users), len(items)) for table in tables.values()]
        split = Split(facts["protocol"], Fold(*parts[:3]), Fold(*parts[3:]), users, items)
        intact = split.digest == facts["digest"]
    except (OSError, ValueError, LookupError, pl.exceptions.PolarsError) as error:
        raise DataError(f"{folder} holds no readable split: {error}", fix="Run the benchmark again.") from error
    if not intact:
        raise DataError(f"the split in {folder} was changed after it was written", fix="Run the benchmark again.")
    return split
