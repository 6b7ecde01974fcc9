"""Sparse products: sums of chosen rows, and inner products of chosen pairs of rows."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import nn

from timbrec.data.interactions import Interactions
from timbrec.types import Array, Float32

with warnings.catch_warnings(action="ignore"):  # PyTorch warns at the first use that this layout is in beta
    torch.sparse_csr_tensor([0, 0], [], [], size=(1, 1), check_invariants=False)


def row_sums(starts: torch.Tensor, columns: torch.Tensor, vectors: torch.Tensor) -> torch.Tensor:
    """(n, dim): row r is the sum of vectors[c] over c in columns[starts[r]:starts[r + 1]]."""
    return _RowSums.apply(starts, columns, vectors)  # type: ignore[no-untyped-call] # torch publishes no type


def transposed(starts: torch.Tensor, columns: torch.Tensor, n: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The transpose of a CSR pattern with n columns: starts (n + 1,) and rows, ascending in each column, as int32."""
    if columns.device.type != "cpu":
        rows = torch.repeat_interleave(starts.diff().to(torch.int32))
        ends = torch.bincount(columns, minlength=n).cumsum(0)
        return torch.cat([ends.new_zeros(1), ends]).to(torch.int32), rows[columns.argsort(stable=True)]
    nothing = np.broadcast_to(np.int8(0), len(columns))
    by_row = csr_array((nothing, columns.int().numpy(), starts.int().numpy()), shape=(len(starts) - 1, n))
    by_column = by_row.tocsc()
    return torch.from_numpy(by_column.indptr), torch.from_numpy(by_column.indices)


def pair_scores(left: torch.Tensor, right: torch.Tensor, rows: torch.Tensor, columns: torch.Tensor) -> torch.Tensor:
    """(n, k) scores: entry (i, j) is left[rows[i]] . right[columns[i, j]].

    `rows` (n,) and `columns` (n, k) are int64. The vectors of the n * k pairs are never gathered, and pairs with a zero
    gradient are skipped in the backward pass.
    """
    if columns.numel() >= len(left) * len(right):  # the full matrix is smaller, and a sparse pattern has no duplicates
        return (left @ right.T)[rows[:, None], columns]
    return _PairScores.apply(left, right, rows, columns)  # type: ignore[no-untyped-call] # torch publishes no type


def means(histories: Interactions, vectors: Float32[Array, "items dim"]) -> Float32[Array, "users dim"]:
    """Mean vectors (n_users, dim) of each user's items; zero for a user without items."""
    starts, items = torch.from_numpy(histories.starts), torch.from_numpy(histories.item)
    sums: Float32[Array, "users dim"] = row_sums(starts, items, torch.from_numpy(vectors)).numpy()
    sums /= np.maximum(histories.user_items, 1).astype(np.float32)[:, None]
    return sums


class _RowSums(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, starts: torch.Tensor, columns: torch.Tensor, vectors: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(starts, columns)
        ctx.n = len(vectors)
        return _bags(starts, columns, vectors)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[None, None, torch.Tensor]:
        starts, columns = ctx.saved_tensors
        return None, None, _bags(*transposed(starts, columns, ctx.n), grads[0])


class _PairScores(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, left: torch.Tensor, right: torch.Tensor, rows: torch.Tensor, columns: torch.Tensor
    ) -> torch.Tensor:
        ctx.save_for_backward(left, right, rows, columns)
        starts = torch.arange(0, columns.numel() + 1, columns.shape[1], device=columns.device)
        pattern = _csr(starts, columns.flatten(), left.new_zeros(columns.numel()), len(right))
        return torch.sparse.sampled_addmm(pattern, left[rows], right.T, beta=0.0).values().view(columns.shape)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, None, None]:
        left, right, rows, columns = ctx.saved_tensors
        pair, place = grads[0].nonzero(as_tuple=True)
        row, column, weight = rows[pair], columns[pair, place], grads[0][pair, place]
        to_left = _sums(row, column, weight, len(left), right)
        return to_left, _sums(column, row, weight, len(right), left), None, None


def _sums(into: torch.Tensor, of: torch.Tensor, weights: torch.Tensor, n: int, vectors: torch.Tensor) -> torch.Tensor:
    """(n, dim): row r is the sum of weights[e] vectors[of[e]] over the entries e with into[e] == r."""
    starts, order = transposed(torch.arange(len(into) + 1, device=into.device), into, n)
    return _bags(starts.to(of), of[order], vectors, weights[order])


def _bags(
    starts: torch.Tensor, rows: torch.Tensor, vectors: torch.Tensor, weights: torch.Tensor | None = None
) -> torch.Tensor:
    """Sums of rows of `vectors`, several times faster than a sparse matrix product on a CPU."""
    return nn.functional.embedding_bag(
        rows, vectors, starts, mode="sum", per_sample_weights=weights, include_last_offset=True
    )


def _csr(starts: torch.Tensor, columns: torch.Tensor, values: torch.Tensor, n_columns: int) -> torch.Tensor:
    size = (len(starts) - 1, n_columns)
    return torch.sparse_csr_tensor(starts, columns, values, size=size, check_invariants=False)
