"""Denominators of softmax losses, computed in blocks without the full matrix of logits."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import torch

Sides = list[tuple[torch.Tensor, torch.Tensor]]

_LOGITS = 2**26  # largest number of logits in a block, 256 MiB in float32; larger blocks are not faster


def mean_log_sum(
    sides: Sides,
    block: int,
    own: torch.Tensor | None = None,
    own_bias: float = 0.0,
    bias: torch.Tensor | None = None,
    extra: torch.Tensor | None = None,
) -> torch.Tensor:
    """The mean over i of log sum over sides and columns j of exp(rows[i] . columns[j] + b[i, j]), a scalar.

    A side is a pair (rows, columns) with n rows. b[i, j] is `bias[j]` (default 0), except at the column `own[i]`,
    where it is `own_bias`; an `own` of -1 means no such column. `extra` (n,) adds an exponent to each row's sum. At
    most `block` rows are processed at a time. The gradient is computed in the forward pass, which has the block's
    exponentials already.
    """
    tensors = [tensor for side in sides for tensor in side]
    if extra is not None:
        tensors.append(extra)
    with_grad = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)
    settings = (block, own, own_bias, bias, with_grad)
    return _MeanLogSum.apply(*settings, *tensors)  # type: ignore[no-untyped-call] # torch publishes no type


class _MeanLogSum(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        block: int,
        own: torch.Tensor | None,
        own_bias: float,
        bias: torch.Tensor | None,
        with_grad: bool,
        *tensors: torch.Tensor,
    ) -> torch.Tensor:
        sides = list(zip(tensors[:-1:2], tensors[1::2], strict=True))
        extra = tensors[-1] if len(tensors) % 2 else None
        edges = np.cumsum([0, *(len(columns) for _, columns in sides)]).tolist()
        spans = [slice(*edge) for edge in pairwise(edges)]
        grads = [torch.zeros_like(tensor) for tensor in tensors] if with_grad else []
        n, width = len(tensors[0]), edges[-1] + (extra is not None)
        total = tensors[0].new_zeros((), dtype=torch.float64)
        block = max(1, min(block, n, _LOGITS // width))
        buffer = tensors[0].new_empty(block, width)
        for start in range(0, n, block):
            part = slice(start, min(start + block, n))
            logits = buffer[: part.stop - start]
            for (rows, columns), span in zip(sides, spans, strict=True):
                torch.mm(rows[part], columns.T, out=logits[:, span])
                _add_bias(logits[:, span], bias, None if own is None else own[part], own_bias)
            if extra is not None:
                logits[:, -1] = extra[part]
            total += _softmax_(logits).sum(dtype=torch.float64)
            if not with_grad:
                continue
            for number, ((rows, columns), span) in enumerate(zip(sides, spans, strict=True)):
                torch.mm(logits[:, span], columns, out=grads[2 * number][part])
                grads[2 * number + 1].addmm_(logits[:, span].T, rows[part])
            if extra is not None:
                grads[-1][part] = logits[:, -1]
        ctx.save_for_backward(*grads)
        ctx.n = n
        return (total / n).to(tensors[0].dtype)

    @staticmethod
    def backward(ctx: Any, *upstream: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        return (None,) * 5 + tuple(grad * (upstream[0] / ctx.n) for grad in ctx.saved_tensors)


def _softmax_(logits: torch.Tensor) -> torch.Tensor:
    """Replace each row by its softmax; returns the logarithms of the denominators.

    The largest probability of a row is 1 / sum exp(logit - largest logit), so the exponentials are computed once.
    """
    largest = logits.amax(1)
    torch.softmax(logits, 1, out=logits)
    return largest - logits.amax(1).log()


def _add_bias(logits: torch.Tensor, bias: torch.Tensor | None, own: torch.Tensor | None, own_bias: float) -> None:
    """Add `bias` to every column in place, and `own_bias` instead to the row's own column, if any."""
    if own is None:
        if bias is not None:
            logits += bias
        return
    with_own = (own >= 0).nonzero()[:, 0]
    column = own[with_own]
    own_logits = logits[with_own, column] + own_bias
    if bias is not None:
        logits += bias
    logits[with_own, column] = own_logits
