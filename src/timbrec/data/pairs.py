"""The plays of a log, counted per pair of a user and an item."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import pairwise

import numpy as np

from timbrec.data.events import Events
from timbrec.data.interactions import Interactions
from timbrec.data.order import argsort, starts
from timbrec.errors import DataError
from timbrec.types import Array, Int, Integer

_RANGES = 16  # ranges of users: sorting takes several times the memory of what is sorted
_OUTSIDE = 255  # the range of plays outside the window
_Block = tuple[Array, Array, Sequence[Array], Array | None]  # user, item, plays before each moment, first play


def pairs_of(events: Events) -> Interactions:
    """All pairs of the log."""
    pairs = _Pairs(events)
    for user, item, plays, first in _blocks(events, []):
        pairs.add(user, item, plays[-1], first)
    return pairs.all()


def later_pairs(events: Events, cuts: Sequence[datetime]) -> list[tuple[Interactions, Interactions]]:
    """For each two neighbours (at, until) of cuts[1:]: the pairs first played before `at`, and those in [at, until).

    Plays before cuts[0] do not count; the plays of a pair are counted up to `at`, or up to `until`. Raises DataError
    for a log without times, and for cuts that do not ascend.
    """
    if not events.timed:
        raise DataError("the log has no time column", fix="Name it in `columns`, or use the item-holdout protocol.")
    if sorted(set(cuts)) != list(cuts):
        raise DataError("the split's times must ascend", example=[str(cut) for cut in cuts], fix="Put them in order.")
    moments = [_microseconds(cut) for cut in cuts]
    parts = [(_Pairs(events), _Pairs(events)) for _ in cuts[2:]]
    for user, item, plays, first in _blocks(events, moments):
        assert first is not None
        for number, (at, until) in enumerate(pairwise(moments[1:])):
            chosen = first < at, (first >= at) & (first < until)
            for part, rows, count in zip(parts[number], chosen, plays[number:], strict=False):
                part.add(user[rows], item[rows], count[rows], first[rows])
    return [(before.all(), after.all()) for before, after in parts]


class _Pairs:
    """Interactions that grow by ranges of users in ascending order."""

    def __init__(self, events: Events) -> None:
        self._sizes = len(events.users), len(events.items)
        self._columns = [np.zeros(0, np.int64) for _ in range(4 if events.timed else 3)]

    def add(self, *columns: Array | None) -> None:
        """Add user, item, plays and first play of pairs. Arrays are enlarged in place: joining parts needs both."""
        for column, values in zip(self._columns, columns, strict=False):
            assert values is not None
            before = len(column)
            column.resize(before + len(values), refcheck=False)
            column[before:] = values

    def all(self) -> Interactions:
        """All pairs."""
        user, item, plays, *first = self._columns
        return Interactions(user, item, plays, first[0] if first else None, *self._sizes)


def _blocks(events: Events, moments: Sequence[int]) -> Iterator[_Block]:
    """The pairs of ranges of users in ascending order, with their plays before each of moments[1:], or all plays."""
    columns = [events.table[name].to_numpy() for name in ("user", "item", "plays")]
    time = events.table["time"].to_physical().to_numpy() if events.timed else None
    ranges = _ranges(columns[0], len(events.users))
    if time is not None and moments:
        ranges[(time < moments[0]) | (time >= moments[-1])] = _OUTSIDE
    for number in range(_RANGES):
        rows = np.flatnonzero(ranges == number)
        user, item, plays = (column[rows] for column in columns)
        yield _counted(user, item, plays, None if time is None else time[rows], moments, len(events.items))


def _ranges(user: Integer[Array, "n"], n_users: int) -> Integer[Array, "n"]:
    """The range of each play's user, as uint8."""
    return (np.arange(n_users) * _RANGES // max(n_users, 1)).astype(np.uint8)[user]


def _counted(
    user: Array, item: Array, plays: Int[Array, "n"], time: Int[Array, "n"] | None, moments: Sequence[int], n_items: int
) -> _Block:
    """The distinct pairs of some plays."""
    least = int(user.min()) if len(user) else 0
    keys = (user - least).astype(np.uint64) * np.uint64(n_items) + item
    order = argsort(keys)
    begin = np.flatnonzero(starts(keys[order]))
    pair, plays, time = order[begin], plays[order], None if time is None else time[order]
    counts = [plays] if time is None or not moments else [np.where(time < cut, plays, 0) for cut in moments[1:]]
    first = None if time is None else _reduced(np.minimum, time, begin)
    return user[pair], item[pair], [_reduced(np.add, count, begin) for count in counts], first


def _reduced(how: np.ufunc, values: Int[Array, "n"], begin: Int[Array, "m"]) -> Int[Array, "m"]:
    """`how` over each group of values; groups begin at these places."""
    return how.reduceat(values, begin) if len(begin) else values


def _microseconds(moment: datetime) -> int:
    """Microseconds since 1970."""
    return (moment - datetime(1970, 1, 1)) // timedelta(microseconds=1)
