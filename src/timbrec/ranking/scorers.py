"""Scorers that several recommenders share."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from timbrec.protocols import Scorer
from timbrec.types import Array, Float32, Int

if TYPE_CHECKING:
    import torch

    from timbrec.protocols import BoundScorer

Vectors = Float32[Array, "n dim"]
_ROWS = 1 << 16  # rows that are normalised at once


@dataclass(frozen=True, eq=False)
class DotScorer(Scorer):
    """Score = inner product of a user's and an item's vector.

    `users` (n_users, dim) and `items` (n_items, dim) are float32; `facts` returns `remarks`.
    """

    users: Float32[Array, "users dim"]
    items: Float32[Array, "items dim"]
    can_rank_cold: bool = True
    remarks: dict[str, float] = field(default_factory=dict)

    @property
    def facts(self) -> dict[str, float]:
        """Figures of the fit, e.g. the number of users without a usable profile."""
        return self.remarks

    def bind(self, items: Int[Array, "n"], device: torch.device) -> BoundScorer:
        """Gather the items once; each call is then one matrix product."""
        import torch  # here, because its import takes longer than any search

        transposed = torch.from_numpy(self.item_vectors(items)).to(device).T

        def score(rows: Int[Array, "u"], out: torch.Tensor) -> None:
            torch.mm(self._gathered(rows, device), transposed, out=out)

        return score

    def item_vectors(self, items: Int[Array, "n"]) -> Float32[Array, "n dim"]:
        """The vectors of these items."""
        return self.items[items]

    @cached_property
    def _gathered(self) -> _Gathered:
        return _Gathered(self.users)


class _Gathered:
    """Vectors of users on a device. Those of the last call are kept, because `rank` scores a user tile by tile."""

    def __init__(self, vectors: Float32[Array, "users dim"]) -> None:
        self.vectors = vectors
        self.last: tuple[Int[Array, "u"], torch.Tensor] | None = None

    def __call__(self, rows: Int[Array, "u"], device: torch.device) -> torch.Tensor:
        """The vectors (u, dim) of these users."""
        import torch

        last = self.last
        if last is not None and last[1].device == device and np.array_equal(last[0], rows):
            return last[1]
        vectors = torch.from_numpy(self.vectors[rows]).to(device)
        self.last = rows.copy(), vectors
        return vectors


def normalised(vectors: Vectors, out: Vectors | None = None) -> Vectors:
    """Rows divided by their L2 norms; zero rows stay zero. `out` receives the result and may be `vectors` itself."""
    result = np.empty_like(vectors) if out is None else out
    for start in range(0, len(vectors), _ROWS):  # norms take a copy of the rows
        rows = slice(start, start + _ROWS)
        result[rows] = _unit(vectors[rows])
    return result


def _unit(vectors: Vectors) -> Vectors:
    with np.errstate(over="ignore"):
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    if len(extreme := np.flatnonzero(~((norms > 1e-12) & (norms < 1e12)))):  # their squares leave the range of float32
        vectors = vectors.copy()
        vectors[extreme] /= np.abs(vectors[extreme]).max(1, keepdims=True).clip(np.finfo(vectors.dtype).tiny)
        norms[extreme] = np.linalg.norm(vectors[extreme], axis=1, keepdims=True)
    return np.divide(vectors, norms, out=np.zeros_like(vectors), where=norms > 0)
