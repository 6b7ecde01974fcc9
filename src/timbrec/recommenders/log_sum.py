"""The denominator of softmax losses, in blocks: no matrix of all rows by all columns ever exists."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import torch

Sides = list[tuple[torch.Tensor, torch.Tensor]]


def mean_log_sum(
    sides: Sides,
    block: int,
    own: torch.Tensor | None = None,
    own_bias: float = 0.0,
    bias: torch.Tensor | None = None,
) -> torch.Tensor:
    """The mean over i of log sum over sides and columns j of exp(rows[i] . columns[j] + b[i, j]), a scalar.

    Every side is (rows, columns) with n rows. On every side b[i, j] is `bias[j]` (zero without), and `own_bias` instead
    at the column `own[i]`. `block` rows are worked on at once. The gradient is computed on
    the way forward, when a block's exponentials are at hand anyway.
    """
    tensors = [tensor for side in sides for tensor in side]
    wanted = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)
    settings = (block, own, own_bias, bias, wanted)
    return _MeanLogSum.apply(*settings, *tensors)  # type: ignore[no-untyped-call] # torch publishes no type


class _MeanLogSum(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        block: int,
        own: torch.Tensor | None,
        own_bias: float,
        bias: torch.Tensor | None,
        wanted: bool,
        *tensors: torch.Tensor,
    ) -> torch.Tensor:
        sides = list(zip(tensors[::2], tensors[1::2], strict=True))
        edges = np.cumsum([0, *(len(columns) for _, columns in sides)]).tolist()
        spans = [slice(*edge) for edge in pairwise(edges)]
        grads = [torch.zeros_like(tensor) for tensor in tensors] if wanted else []
        n, total = len(tensors[0]), tensors[0].new_zeros((), dtype=torch.float64)
        buffer = tensors[0].new_empty(min(block, n), edges[-1])
        for start in range(0, n, block):
            here = slice(start, min(start + block, n))
            logits = buffer[: here.stop - start]
            for (rows, columns), span in zip(sides, spans, strict=True):
                torch.mm(rows[here], columns.T, out=logits[:, span])
                _add_bias(logits[:, span], bias, None if own is None else own[here], own_bias)
            log_sums = logits.logsumexp(1)
            total += log_sums.sum()
            if not wanted:
                continue
            logits.sub_(log_sums[:, None]).exp_()
            for number, ((rows, columns), span) in enumerate(zip(sides, spans, strict=True)):
                grads[2 * number][here] = logits[:, span] @ columns
                grads[2 * number + 1].addmm_(logits[:, span].T, rows[here])
        ctx.save_for_backward(*grads)
        ctx.n = n
        return (total / n).to(tensors[0].dtype)

    @staticmethod
    def backward(ctx: Any, *upstream: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        return (None,) * 5 + tuple(grad * (upstream[0] / ctx.n) for grad in ctx.saved_tensors)


def _add_bias(logits: torch.Tensor, bias: torch.Tensor | None, own: torch.Tensor | None, own_bias: float) -> None:
    """In place: `bias` to every column, `own_bias` instead to each row's own."""
    mine = None if own is None else logits.gather(1, own[:, None]) + own_bias
    if bias is not None:
        logits += bias
    if own is not None and mine is not None:
        logits.scatter_(1, own[:, None], mine)
