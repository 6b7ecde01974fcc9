"""Exact selection of the k largest scores of each row from blocks of scores that arrive one after another."""

from __future__ import annotations

import numpy as np
import torch

from timbrec.errors import DataError

NOTHING = float("-inf")
EMPTY = -(2**63)  # the key of an empty place, below the keys of all candidates
GROUP = 32  # scores that share a maximum; blocks have a multiple of it as columns
_LAST = 2**32 - 1  # all columns are smaller
_SIGN = 0x7FFFFFFF


def packed(scores: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
    """Keys (int64) in the order of the float32 scores and, among equal scores, of descending columns."""
    bits = (scores + 0.0).view(torch.int32)  # turns -0.0 into 0.0, its equal
    ordered = bits ^ ((bits >> 31) & _SIGN)  # integers in the order of the floats
    return (ordered.to(torch.int64) << 32) | (_LAST - columns)


def unpacked(keys: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The scores and columns of keys; the score of the empty key is -inf."""
    ordered = (keys >> 32).to(torch.int32)
    scores = (ordered ^ ((ordered >> 31) & _SIGN)).view(torch.float32)
    return torch.where(keys == EMPTY, NOTHING, scores), _LAST - (keys & _LAST)


class Best:
    """The k best candidates of each row so far, as keys.

    A block of scores is read once, for the maxima of groups of neighbours. Only groups whose maximum exceeds the row's
    k-th best score are read again. An equal score is too late, because blocks arrive in the order of ties.

    `keys` (rows, k) are the best of earlier blocks.
    """

    def __init__(self, keys: torch.Tensor) -> None:
        self.k = self.used = keys.shape[1]
        self.table = keys
        self.counts = torch.full((len(keys),), self.k, device=keys.device)
        self.bound = self._bound()

    def add(self, block: torch.Tensor, first: int) -> None:
        """Include a contiguous block (rows, n) of scores for the columns from `first` on. Raises DataError for NaN."""
        bound = self.bound
        if self.k <= block.shape[1] and bool((bound == NOTHING).any()):
            least = _largest(block, self.k).amin(1, keepdim=True)
            bound = torch.maximum(bound, torch.nextafter(least, torch.full_like(least, NOTHING)))
        groups = block.view(len(block), -1, GROUP)
        maxima = groups.amax(2)
        if maxima.isnan().any():
            raise DataError("scores are not numbers (NaN)", fix="Check the vectors and the recommender's settings.")
        place = _places(maxima > bound)
        row = place // maxima.shape[1]
        scores = groups.view(-1, GROUP).index_select(0, place)
        within = _places(scores > bound[row])
        number = within // GROUP
        columns = (place % maxima.shape[1])[number] * GROUP + within % GROUP
        self._append(row[number], scores.view(-1)[within], columns + first)

    def keys(self) -> torch.Tensor:
        """The keys (rows, k) of the best, in no order."""
        self._shrink()
        return self.table[:, : self.k]

    def _append(self, row: torch.Tensor, scores: torch.Tensor, columns: torch.Tensor) -> None:
        """Append candidates, in ascending order of their rows, to the table; shrink it when it is long."""
        if not len(row):
            return
        new = torch.bincount(row, minlength=len(self.counts))
        place = torch.arange(len(row), device=row.device) - (new.cumsum(0) - new - self.counts)[row]
        self.counts += new
        self.used = int(self.counts.max())
        if self.used > self.table.shape[1]:
            self.table = torch.nn.functional.pad(self.table, (0, self.used - self.table.shape[1] + self.k), value=EMPTY)
        self.table[row, place] = packed(scores, columns)
        if self.used > 2 * self.k:
            self._shrink()

    def _shrink(self) -> None:
        """Keep the k best of each row."""
        self.table[:, : self.k] = _largest(self.table[:, : self.used], self.k)
        self.table[:, self.k :] = EMPTY
        self.counts[:] = self.used = self.k
        self.bound = self._bound()

    def _bound(self) -> torch.Tensor:
        """The k-th best score (rows, 1) so far, -inf where a row has fewer candidates."""
        return unpacked(self.table[:, : self.k].amin(1, keepdim=True))[0]


def _largest(values: torch.Tensor, k: int) -> torch.Tensor:
    """The k largest values of each row, in no order; NaN is largest."""
    if _on_cpu(values):  # numpy is several times faster than torch there
        return torch.from_numpy(np.partition(values.numpy(), values.shape[1] - k, axis=1)[:, -k:])
    return values.topk(k, sorted=False).values


def _places(mask: torch.Tensor) -> torch.Tensor:
    """The places of the true elements of the flattened mask, ascending."""
    if _on_cpu(mask):
        return torch.from_numpy(np.flatnonzero(mask.numpy()))
    return mask.flatten().nonzero()[:, 0]


def _on_cpu(tensor: torch.Tensor) -> bool:
    return tensor.device.type == "cpu"
