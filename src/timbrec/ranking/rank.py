"""Exact top-k ranking over all candidates. Filtering, sorting and tie-breaking happen only in this module."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from timbrec.data.interactions import Interactions
from timbrec.devices import device_of
from timbrec.errors import CannotRankError, DataError
from timbrec.protocols import Scorer
from timbrec.types import Array, Float32, Int

MEMORY = 2**28  # bytes of a block of scores
_GROUP = 32  # both sides of a block are multiples of this: a BLAS then returns the same bits for every block size
_USERS = 512  # largest number of users in a block; more do not make the matrix product faster
NOTHING = float("-inf")


@dataclass(frozen=True, eq=False)
class TopK:
    """The k best items of each user, best first.

    `items` (users, k) are item rows and `scores` (users, k) their scores; -1 and -inf where a user has fewer than k
    candidates.
    """

    users: Int[Array, "u"]
    items: Int[Array, "u k"]
    scores: Float32[Array, "u k"]


def tie_order(n_items: int, seed: int) -> Int[Array, "n_items"]:
    """A seeded random place for each item, by which ties are broken; row order would leak ids and time."""
    return np.random.default_rng([seed, 0x71E5]).permutation(n_items)


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
    scores = torch.full((len(users), k), NOTHING)
    places = torch.zeros((len(users), k), dtype=torch.int64)
    width = max(memory // (4 * _USERS) // _GROUP, 1) * _GROUP
    for start in range(0, len(ordered), width):
        bound = _Columns(scorer, ordered[start : start + width], exclude, device)
        for rows in torch.arange(len(users)).split(_USERS):
            block_scores, columns = bound.top(users[rows.numpy()], k)
            scores[rows], order = _keep_best(torch.cat([scores[rows], block_scores], 1), k)
            places[rows] = torch.cat([places[rows], columns + start], 1).gather(1, order)
    items = np.append(ordered, -1)[torch.where(scores == NOTHING, -1, places).numpy()]
    return TopK(users, items, scores.numpy())


class _Columns:
    """A block of candidates in tie order, bound to a scorer."""

    def __init__(self, scorer: Scorer, items: Int[Array, "n"], exclude: Interactions, device: torch.device) -> None:
        self.n, self.exclude, self.device = len(items), exclude, device
        padded = _padded(items)
        self.score = scorer.bind(padded, device)
        self.block = torch.empty(_USERS, len(padded), device=device)
        self.column = np.full(exclude.n_items, -1)
        self.column[items] = np.arange(len(items))

    def top(self, users: Int[Array, "u"], k: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Scores and columns (u, <= k) of the best candidates, best first, ties by column."""
        padded = _padded(users)
        block = self.block[: len(padded)]
        self.score(padded, block)
        block[:, self.n :] = NOTHING
        rows, items = self.exclude.of_users(users)
        columns = self.column[items]
        seen = torch.from_numpy((rows * block.shape[1] + columns)[columns >= 0]).to(self.device)
        block.view(-1).index_fill_(0, seen, NOTHING)
        scores, chosen = _top(block[: len(users)], k)
        return scores.cpu(), chosen.cpu()


def _padded(rows: Int[Array, "n"]) -> Int[Array, "m"]:
    """The rows, the last repeated up to a multiple of the group size."""
    return np.pad(rows, (0, -len(rows) % _GROUP), mode="edge")


def _top(block: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Exact top k of each row, ties by column. The (k+1)-th value shows whether a tie crosses the k-th place."""
    k = min(k, block.shape[1])
    columns, values = _one_more(block, k)
    if values.isnan().any():  # topk sorts NaN above every number, so each NaN is among the values
        raise DataError("scores are not numbers (NaN)", fix="Check the vectors and the recommender's settings.")
    tied = (values[:, -1] == values[:, k - 1]) & (values[:, -1] > NOTHING) if values.shape[1] > k else None
    columns = columns[:, :k]
    if tied is not None and tied.any():
        columns[tied] = _first_of_the_tied(block[tied], values[tied, k - 1, None], k)
    columns = columns.sort(1).values
    scores, order = _keep_best(block.gather(1, columns), k)
    return scores, columns.gather(1, order)


def _one_more(block: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Columns and values of the k + 1 largest of each row; they all lie in the k + 1 groups with the largest maxima."""
    users, n = block.shape
    more = min(k + 1, n)
    if n // _GROUP <= 2 * more:
        values, columns = block.topk(more)
        return columns, values
    groups = block.view(users, -1, _GROUP)
    best = groups.amax(2).topk(more, sorted=False).indices
    members = groups.gather(1, best[:, :, None].expand(-1, -1, _GROUP)).view(users, -1)
    values, places = members.topk(more)
    return best.gather(1, places // _GROUP) * _GROUP + places % _GROUP, values


def _first_of_the_tied(block: torch.Tensor, threshold: torch.Tensor, k: int) -> torch.Tensor:
    """k columns of each row: all above the threshold, then the first of the columns equal to it."""
    above, equal = block > threshold, block == threshold
    room = k - above.sum(1, keepdim=True)
    taken = above | (equal & (equal.cumsum(1, dtype=torch.int32) <= room))
    return taken.nonzero()[:, 1].view(len(block), k)


def _keep_best(scores: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The k largest values of each row and their places; the earlier place first among equals."""
    values, order = torch.sort(scores, stable=True, dim=1, descending=True)
    return values[:, :k], order[:, :k]
