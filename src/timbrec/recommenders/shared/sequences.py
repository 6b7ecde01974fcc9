"""Users' histories as sequences in the order of first plays."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from timbrec.data.interactions import Interactions
from timbrec.types import Array, Int, UInt64

PADDING = -1
MASK = -2


class Sequences:
    """Each user's items in the order of their first plays. The training examples are users with at least one item.

    Plays with equal times, and all plays of a log without times, are in a pseudo-random order that depends only on the
    set of items the user has played. Row order would leak ids. A common order for all users would teach the model
    which items come last in it. Adding items to the catalogue changes no order.
    """

    def __init__(self, pairs: Interactions) -> None:
        numbers = _scattered(pairs.item)
        sums = np.append(np.uint64(0), np.cumsum(numbers))  # modulo 2^64
        histories = sums[pairs.starts[1:]] - sums[pairs.starts[:-1]]
        ties = _scattered(numbers ^ np.repeat(histories, pairs.user_items))
        times = np.zeros(len(pairs), np.int64) if pairs.first is None else pairs.first
        self.items = pairs.item[np.lexsort((ties, times, pairs.user))]
        self.ends, self.lengths = np.cumsum(pairs.user_items), pairs.user_items
        self.users = pairs.users

    def __len__(self) -> int:
        return len(self.users)

    def latest(self, users: Int[Array, "u"], length: int) -> Int[Array, "u longest"]:
        """The last `length` items of each user, left-aligned; shorter histories end in PADDING."""
        lengths = np.minimum(self.lengths[users], length)[:, None]
        places = np.arange(lengths.max(initial=0))[None]
        from_start = (self.ends[users][:, None] - lengths + places).clip(0, len(self.items) - 1)
        return np.where(places < lengths, self.items[from_start], PADDING)


def chunks(lengths: Int[Array, "n"], size: int) -> list[Int[Array, "m"]]:
    """The places 0 to n - 1 in ascending order of their lengths, in chunks of `size`."""
    return np.split(np.argsort(lengths, kind="stable"), range(size, len(lengths), size))


def merged(parts: Sequence[Array], lengths: Int[Array, "n"]) -> list[Array]:
    """The chunks in order, with neighbours that have the same longest length as one."""
    longest = np.array([lengths[chunk].max() for chunk in parts])
    starts = np.flatnonzero(np.diff(longest, prepend=-1))
    return [np.concatenate(parts[start:end]) for start, end in pairwise([*starts, len(parts)])]


def _scattered(rows: Int[Array, "n"] | UInt64[Array, "n"]) -> UInt64[Array, "n"]:
    """A distinct pseudo-random number for each row (the finaliser of SplitMix64)."""
    mixed = rows.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))
