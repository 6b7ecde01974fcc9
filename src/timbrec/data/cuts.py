"""The three split protocols: by time, by time as in the paper, and by held-out items."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import numpy as np

from timbrec.data.events import Events
from timbrec.data.interactions import Interactions
from timbrec.data.pairs import later_pairs, pairs_of
from timbrec.data.split import Fold, Split
from timbrec.data.vocabulary import Vocabulary
from timbrec.errors import DataError
from timbrec.types import Array, Int


class EmptyPartError(DataError):
    """A part of the split would have no plays."""


def by_time(
    events: Events, start: datetime, validate_at: datetime, test_at: datetime, end: datetime,
    artists: Int[Array, "items"] | None = None,
) -> Split:  # fmt: skip
    """The protocol `corrected`: validation is the time before T, with hot and cold scenarios of its own.

    Plays in [start, end) count. The first play of a pair in this window decides its part, so a pair played before T is
    never test. A play exactly at a boundary belongs to the later part. The plays of a pair are counted up to
    `validate_at` in `fit`, up to `test_at` in `train` and in validation, and up to `end` in the test. With `artists`
    (a number per item, -1 if unknown), cold pairs by artists in train are left out, in both folds.
    """
    validation, test = (_folded(*parts) for parts in later_pairs(events, [start, validate_at, test_at, end]))
    return _split("corrected", _by_new_artists(validation, artists), _by_new_artists(test, artists), events)


def tamm2026(
    events: Events, start: datetime, test_at: datetime, end: datetime, artists: Int[Array, "items"] | None = None
) -> Split:
    """The split of the paper: one cut at T; of the users with hot but no cold test pairs, 30 % are for validation.

    The validation users are the train side of scikit-learn's `train_test_split(users, test_size=.7, random_state=42)`,
    with users in ascending order of id. Their hot pairs are validation pairs and leave the hot test. Validation thus
    lies in the test month, has no cold scenario, and has the same train part as the test. `artists` as in `by_time`.
    """
    (parts,) = later_pairs(events, [start, test_at, end])
    train, hot, cold = _by_new_artists(_folded(*parts), artists)
    free = np.setdiff1d(hot.user, cold.user)
    validates = np.isin(hot.user, free[_paper_validation(len(free))])
    nothing = cold.where(np.zeros(len(cold), bool))
    return _split("tamm2026", (train, hot.where(validates), nothing), (train, hot.where(~validates), cold), events)


def by_items(
    events: Events, seed: int, cold: float = 0.1, hot: float = 0.2, validation: float = 0.1,
    artists: Int[Array, "items"] | None = None,
) -> Split:  # fmt: skip
    """The protocol `item-holdout`, for logs without usable time: random items are cold, random other pairs are hot.

    Of the played items, a share `cold` is held out for the test and a share `validation` for validation. Of the pairs
    of the remaining items, a share `hot` is test and a share `validation` validation. As in every protocol, a held-out
    pair is cold if its item is not in train. Pairs of users without train pairs are dropped. With `artists` (a number
    per item, -1 if unknown), shares of items are shares of artists, and cold pairs by artists in train are left out.
    """
    pairs = pairs_of(events)
    rng = np.random.default_rng(seed)
    unit = pairs.item if artists is None else _groups(artists)[pairs.item]
    units = np.unique(unit)
    stage_of_unit = np.zeros(int(units.max(initial=0)) + 1, np.int8)
    stage_of_unit[rng.permutation(units)] = _stages(len(units), cold, validation)
    stage = stage_of_unit[unit]
    warm = np.flatnonzero(stage == 0)
    stage[rng.permutation(warm)] = _stages(len(warm), hot, validation)
    fit, validated, tested = (pairs.where(stage == number) for number in (0, 1, 2))
    folds = [_folded(fit, validated), _folded(pairs.where(stage < 2), tested)]
    validation_parts, test_parts = (_by_new_artists(parts, artists) for parts in folds)
    return _split("item-holdout", validation_parts, test_parts, events)


_Parts = tuple[Interactions, Interactions, Interactions]  # train, hot, cold


def _folded(train: Interactions, later: Interactions) -> _Parts:
    """Train, and the later pairs of its users: hot if the item is in train, else cold."""
    known, seen = (train.user_items > 0)[later.user], (train.item_users > 0)[later.item]
    return train, later.where(known & seen), later.where(known & ~seen)


def _by_new_artists(parts: _Parts, artists: Int[Array, "items"] | None) -> _Parts:
    """The parts without cold pairs of artists that are in train; unchanged without `artists`."""
    if artists is None:
        return parts
    train, hot, cold = parts
    groups = _groups(artists)
    return train, hot, cold.where(~np.isin(groups[cold.item], groups[train.items]))


def _groups(artists: Int[Array, "items"]) -> Int[Array, "items"]:
    """The artist of each item; an item without a known artist is a group of its own."""
    return np.where(artists < 0, artists.max(initial=-1) + 1 + np.arange(len(artists)), artists)


def _stages(n: int, test: float, validation: float) -> Int[Array, "n"]:
    """2 for the share `test` of n places, 1 for the share `validation`, 0 for the rest."""
    stages = np.zeros(n, np.int8)
    tested, validated = round(n * test), round(n * validation)
    stages[:tested] = 2
    stages[tested : tested + validated] = 1
    return stages


def _paper_validation(n: int) -> Int[Array, "m"]:
    """The train side of scikit-learn's `train_test_split(range(n), test_size=.7, random_state=42)`."""
    shuffled = np.random.RandomState(42).permutation(n)
    return shuffled[int(np.ceil(0.7 * n)) :]


def _split(protocol: str, validation: _Parts, test: _Parts, events: Events) -> Split:
    """Folds over the users of the test's train part and all items. Raises EmptyPartError for an empty train part."""
    if not len(test[0]):
        raise EmptyPartError("no play falls into the train part")
    if not len(validation[0]):
        raise EmptyPartError("no play falls into the part of train before validation")
    rows = test[0].users
    row_of = np.full(len(events.users), -1)
    row_of[rows] = np.arange(len(rows))

    def fold(parts: _Parts) -> Fold:
        if len(rows) == len(row_of):
            return Fold(*parts)
        return Fold(*(replace(part, user=row_of[part.user], n_users=len(rows)) for part in parts))

    return Split(protocol, fold(validation), fold(test), Vocabulary(events.users.take(rows)), events.items)
