"""Exact top-k ranking over all candidates. Filtering, sorting and tie-breaking happen only in this module."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from timbrec.data.interactions import Interactions
from timbrec.errors import CannotRankError, DataError
from timbrec.machine.devices import device_of
from timbrec.protocols import Scorer
from timbrec.ranking.ties import tie_order
from timbrec.types import Array, Float32, Int

if TYPE_CHECKING:
    import torch

MEMORY = 2**28  # bytes of the scores of the candidates that are bound at a time


@dataclass(frozen=True, eq=False)
class TopK:
    """The k best items of each user, best first.

    `items` (users, k) are item rows and `scores` (users, k) their scores; -1 and -inf where a user has fewer than k
    candidates.
    """

    users: Int[Array, "u"]
    items: Int[Array, "u k"]
    scores: Float32[Array, "u k"]


def rank(
    scorer: Scorer,
    users: Int[Array, "u"],
    candidates: Int[Array, "c"],
    exclude: Interactions,
    k: int,
    *,
    seed: int = 0,
    memory: int = MEMORY,
    device: torch.device | None = None,
) -> TopK:
    """The `k` best of `candidates` for each user, without the items the user has in `exclude`.

    Ties are broken by `tie_order(n_items, seed)`, alike for all users. `memory` (bytes) bounds a block of scores and
    changes no result. `device` defaults to the GPU, if any. Raises CannotRankError for candidates that are not in
    `exclude` (the train part) when the scorer cannot rank cold items, DataError for NaN scores or k < 1, and
    ConfigError for a GPU that does not exist.
    """
    import torch  # here, because a finished run reads lists without it

    from timbrec.ranking.columns import USERS, Columns
    from timbrec.ranking.selection import EMPTY, GROUP, NOTHING, unpacked

    if k < 1:
        raise DataError("k must be at least 1", example=k, fix="Ask for at least one item.")
    if not scorer.can_rank_cold and (cold := exclude.item_users[candidates] == 0).any():
        raise CannotRankError("cannot rank items that nobody has played in train", count=int(cold.sum()))
    device, scorer = device_of("auto" if device is None else str(device)), scorer.among(candidates)
    ordered = candidates[np.argsort(tie_order(exclude.n_items, seed)[candidates])]
    best = torch.full((len(users), k), EMPTY)
    width = max(memory // (4 * USERS) // GROUP, 1) * GROUP
    for start in range(0, len(ordered), width):
        bound = Columns(scorer, ordered, slice(start, start + width), exclude, device)
        for rows in torch.arange(len(users)).split(USERS) if len(users) else ():
            best[rows] = bound.best(users[rows.numpy()], best[rows])
        del bound  # its vectors make room for those of the next range
    scores, places = unpacked(best.sort(1, descending=True).values)
    items = np.append(ordered, -1)[torch.where(scores == NOTHING, -1, places).numpy()]
    return TopK(users, items, scores.numpy())
