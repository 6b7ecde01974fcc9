"""Interactions: distinct (user, item) pairs with their number of plays."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from timbrec.types import Array, Bool, Float, Int, Integer

if TYPE_CHECKING:
    from scipy.sparse import csr_array


@dataclass(frozen=True, eq=False)
class Interactions:
    """Distinct (user, item) pairs in ascending order of user, then item.

    `plays` counts the plays of a pair; `first` is the time of its first play in microseconds since 1970 UTC, None
    for logs without time. Rows refer to vocabularies of `n_users` and `n_items` ids.
    """

    user: Int[Array, "n"]
    item: Int[Array, "n"]
    plays: Int[Array, "n"]
    first: Int[Array, "n"] | None
    n_users: int
    n_items: int

    @classmethod
    def of(cls, pairs: pl.DataFrame, n_users: int, n_items: int) -> Interactions:
        """Interactions from a table of distinct pairs: `user`, `item`, `plays` and, in timed logs, `first`."""
        if not _ascending(pairs["user"].to_numpy(), pairs["item"].to_numpy()):
            pairs = pairs.sort("user", "item")
        first = pairs["first"].cast(pl.Int64).to_numpy() if "first" in pairs.columns else None
        user, item = (pairs[name].to_numpy().astype(np.int64) for name in ("user", "item"))
        return cls(user, item, pairs["plays"].to_numpy().astype(np.int64), first, n_users, n_items)

    def __len__(self) -> int:
        return len(self.user)

    @cached_property
    def users(self) -> Int[Array, "m"]:
        """The distinct user rows, ascending."""
        return np.flatnonzero(self.user_items)

    @cached_property
    def items(self) -> Int[Array, "m"]:
        """The distinct item rows, ascending."""
        return np.flatnonzero(self.item_users)

    @cached_property
    def item_users(self) -> Int[Array, "n_items"]:
        """The number of users who played each item: its popularity."""
        return np.bincount(self.item, minlength=self.n_items)

    @cached_property
    def user_items(self) -> Int[Array, "n_users"]:
        """The number of items that each user played."""
        return np.bincount(self.user, minlength=self.n_users)

    @cached_property
    def starts(self) -> Int[Array, "n_users_plus_1"]:
        """Row boundaries of users: the pairs of user u are the rows starts[u] to starts[u + 1]."""
        return np.concatenate([[0], np.cumsum(self.user_items)])

    def csr(self, weights: Float[Array, "n"] | None = None) -> csr_array:
        """The (n_users, n_items) sparse matrix of `weights`, by default ones, in float32."""
        from scipy.sparse import csr_array

        data = np.ones(len(self), np.float32) if weights is None else weights
        return csr_array((data, self.item, self.starts), shape=(self.n_users, self.n_items))

    def of_users(self, users: Int[Array, "u"]) -> tuple[Int[Array, "m"], Int[Array, "m"]]:
        """All pairs of these users: the place of the user in `users`, and the item row."""
        counts = self.user_items[users]
        places = np.repeat(np.arange(len(users)), counts)
        offsets = np.arange(len(places)) - np.repeat(np.cumsum(counts) - counts, counts)
        return places, self.item[self.starts[users][places] + offsets]

    def where(self, keep: Bool[Array, "n"]) -> Interactions:
        """The pairs for which `keep` is true."""
        first = None if self.first is None else self.first[keep]
        return Interactions(self.user[keep], self.item[keep], self.plays[keep], first, self.n_users, self.n_items)

    def joined(self, other: Interactions) -> Interactions:
        """The pairs of this and of `other`, which must be disjoint."""
        return Interactions.of(pl.concat([self.frame(), other.frame()]), self.n_users, self.n_items)

    def frame(self) -> pl.DataFrame:
        """The pairs as a table with the columns `user`, `item`, `plays` and, in timed logs, `first` (a Datetime)."""
        columns = {"user": self.user, "item": self.item, "plays": self.plays}
        table = pl.DataFrame(columns if self.first is None else columns | {"first": self.first})
        return table if self.first is None else table.with_columns(pl.col("first").cast(pl.Datetime("us")))

    @cached_property
    def digest(self) -> str:
        """A hash of every value."""
        digest = hashlib.sha256(f"{self.n_users} {self.n_items} {self.first is None}".encode())
        for values in (self.user, self.item, self.plays, self.first):
            digest.update(b"" if values is None else np.ascontiguousarray(values).tobytes())
        return digest.hexdigest()[:16]


def _ascending(user: Integer[Array, "n"], item: Integer[Array, "n"]) -> bool:
    """Whether pairs ascend by user, then item."""
    same = user[1:] == user[:-1]
    return bool(((user[1:] > user[:-1]) | (same & (item[1:] > item[:-1]))).all())
