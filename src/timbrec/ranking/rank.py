"""Exact top-k ranking over all candidates. Filtering, sorting and tie-breaking happen only in this module."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from timbrec.data.interactions import Interactions
from timbrec.errors import CannotRankError, DataError
from timbrec.machine.devices import device_of
from timbrec.protocols import Scorer
from timbrec.ranking.selection import EMPTY, GROUP, NOTHING, Best, unpacked
from timbrec.ranking.ties import tie_order
from timbrec.types import Array, Float32, Int

MEMORY = 2**28  # bytes of the scores of the candidates that are bound at a time
_USERS = 512  # largest number of users in a block; more do not make the matrix product faster
_TILE = 2048  # candidates per tile: their scores for a block of users fit a processor's cache (4 MiB)
_TILE_GPU = 2**16  # a GPU gains nothing by small tiles


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
    if k < 1:
        raise DataError("k must be at least 1", example=k, fix="Ask for at least one item.")
    if not scorer.can_rank_cold and (cold := exclude.item_users[candidates] == 0).any():
        raise CannotRankError("cannot rank items that nobody has played in train", count=int(cold.sum()))
    device, scorer = device_of("auto" if device is None else str(device)), scorer.among(candidates)
    ordered = candidates[np.argsort(tie_order(exclude.n_items, seed)[candidates])]
    best = torch.full((len(users), k), EMPTY)
    width = max(memory // (4 * _USERS) // GROUP, 1) * GROUP
    for start in range(0, len(ordered), width):
        bound = _Columns(scorer, ordered, slice(start, start + width), exclude, device)
        for rows in torch.arange(len(users)).split(_USERS) if len(users) else ():
            best[rows] = bound.best(users[rows.numpy()], best[rows])
    scores, places = unpacked(best.sort(1, descending=True).values)
    items = np.append(ordered, -1)[torch.where(scores == NOTHING, -1, places).numpy()]
    return TopK(users, items, scores.numpy())


class _Columns:
    """A range of the candidates in tie order, bound to a scorer in tiles whose scores fit a processor's cache."""

    def __init__(
        self, scorer: Scorer, ordered: Int[Array, "c"], columns: slice, exclude: Interactions, device: torch.device
    ) -> None:
        items = ordered[columns]
        self.width = _TILE if device.type == "cpu" else _TILE_GPU
        self.tiles = [items[start : start + self.width] for start in range(0, len(items), self.width)]
        self.scores = [scorer.bind(_padded(tile), device) for tile in self.tiles]
        self.block = torch.empty(_USERS * len(_padded(self.tiles[0])), device=device)
        self.first, self.exclude, self.device = columns.start, exclude, device
        self.column = np.full(exclude.n_items, -1)
        self.column[items] = np.arange(len(items))

    def best(self, users: Int[Array, "u"], best: torch.Tensor) -> torch.Tensor:
        """Keys (u, k) of the best candidates in no order, among earlier columns and these."""
        padded, chosen = _padded(users), Best(best.to(self.device))
        for number, seen in enumerate(self._seen(users)):
            tile = len(self.tiles[number])
            block = self.block[: len(padded) * -(-tile // GROUP) * GROUP].view(len(padded), -1)  # contiguous
            self.scores[number](padded, block)
            block[:, tile:] = NOTHING
            block.view(-1).index_fill_(0, seen.to(self.device), NOTHING)
            chosen.add(block[: len(users)], self.first + number * self.width)
        return chosen.keys().cpu()

    def _seen(self, users: Int[Array, "u"]) -> list[torch.Tensor]:
        """For each tile, the places in its block of scores of the pairs to leave out."""
        rows, items = self.exclude.of_users(users)
        columns = self.column[items]
        rows, columns = rows[columns >= 0], columns[columns >= 0]
        tiles = (columns // self.width).astype(np.int16)
        order = np.argsort(tiles, kind="stable")  # a radix sort, as the numbers are small
        edges = np.searchsorted(tiles[order], np.arange(1, len(self.tiles)))
        widths = np.array([len(_padded(tile)) for tile in self.tiles])
        places = torch.from_numpy((rows * widths[tiles] + columns % self.width)[order])
        return list(places.tensor_split(edges.tolist()))


def _padded(rows: Int[Array, "n"]) -> Int[Array, "m"]:
    """The rows, the last repeated up to a multiple of the group size."""
    return np.pad(rows, (0, -len(rows) % GROUP), mode="edge")
