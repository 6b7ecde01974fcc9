"""Listeners of a model: known users, and people known by their history alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from timbrec.data.interactions import Interactions
from timbrec.data.vocabulary import Vocabulary
from timbrec.errors import DataError, did_you_mean
from timbrec.types import Array, Int


def known_user(user: str, users: Vocabulary, played: Interactions) -> tuple[int, Int[Array, "n"]]:
    """The row of a user and the rows of the tracks they played. Raises DataError for an unknown user."""
    if not len(users):
        raise DataError("the model knows no user: it was fitted without plays", fix="Give a history, or seeds.")
    row = int(users.rows([user])[0])
    if row < 0:
        hint = did_you_mean(user, users.ids[:20_000])
        raise DataError(
            f"the model does not know user {user!r}", fix=f"{hint}A list of tracks they played does as well."
        )
    return row, played.of_users(np.array([row]))[1]


def history_of(ids: Sequence[str], items: Vocabulary) -> Interactions:
    """The plays of one user from the ids of played tracks, in order; unknown ids are dropped.

    Raises DataError for a history without a known id.
    """
    plays = Counter(ids)  # in the order of first plays
    rows = items.rows(plays)
    if not (rows >= 0).any():
        raise DataError(
            "the model knows no item of the history",
            count=len(plays),
            example=(next(iter(plays), "nothing"), items.ids[0]),
            fix="The example shows an id of the history and one of the model: make them the same kind.",
        )
    first = np.argsort(rows, kind="stable")
    first = first[rows[first] >= 0]
    times = np.fromiter(plays.values(), np.int64, len(plays))
    return Interactions(np.zeros(len(first), np.int64), rows[first], times[first], first, 1, len(items))
