"""Blocks of scores: a range of the candidates, for a block of users at a time."""

from __future__ import annotations

import numpy as np
import torch

from timbrec.data.interactions import Interactions
from timbrec.protocols import Scorer
from timbrec.ranking.selection import GROUP, NOTHING, Best
from timbrec.types import Array, Int

USERS = 512  # largest number of users in a block; more do not make the matrix product faster
_TILE = 2048  # candidates per tile: their scores for a block of users fit a processor's cache (4 MiB)
_TILE_GPU = 2**16  # a GPU gains nothing by small tiles


class Columns:
    """A range of the candidates in tie order, bound to a scorer in tiles whose scores fit a processor's cache."""

    def __init__(
        self, scorer: Scorer, ordered: Int[Array, "c"], columns: slice, exclude: Interactions, device: torch.device
    ) -> None:
        items = ordered[columns]
        self.width = _TILE if device.type == "cpu" else _TILE_GPU
        self.tiles = [items[start : start + self.width] for start in range(0, len(items), self.width)]
        self.scores = [scorer.bind(_padded(tile), device) for tile in self.tiles]
        self.block = torch.empty(USERS * len(_padded(self.tiles[0])), device=device)
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
