"""The denominator of softmax losses, in blocks: no matrix of all rows by all columns ever exists."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import torch

Sides = list[tuple[torch.Tensor, torch.Tensor]]

_HELD = 2**26  # logits at once, at most: 256 MiB in float32; larger blocks do not make products faster


def mean_log_sum(
    sides: Sides,
    block: int,
    own: torch.Tensor | None = None,
    own_bias: float = 0.0,
    bias: torch.Tensor | None = None,
    extra: torch.Tensor | None = None,
) -> torch.Tensor:
    """The mean over i of log sum over sides and columns j of exp(rows[i] . columns[j] + b[i, j]), a scalar.

    Every side is (rows, columns) with n rows. On every side b[i, j] is `bias[j]` (zero without), and `own_bias` instead
    at the column `own[i]`; an `own` of -1 is no column. `extra` (n,) is one more exponent of each row's sum. At most
    `block` rows are worked on at once. The gradient is computed on the way forward, when a block's exponentials are at
    hand anyway.
    """
    tensors = [tensor for side in sides for tensor in side]
    if extra is not None:
        tensors.append(extra)
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
        sides = list(zip(tensors[:-1:2], tensors[1::2], strict=True))
        extra = tensors[-1] if len(tensors) % 2 else None
        edges = np.cumsum([0, *(len(columns) for _, columns in sides)]).tolist()
        spans = [slice(*edge) for edge in pairwise(edges)]
        grads = [torch.zeros_like(tensor) for tensor in tensors] if wanted else []
        n, total, width = (
            len(tensors[0]),
            tensors[0].new_zeros((), dtype=torch.float64),
            edges[-1] + (extra is not None),
        )
        block = max(1, min(block, n, _HELD // width))
        buffer = tensors[0].new_empty(block, width)
        for start in range(0, n, block):
            here = slice(start, min(start + block, n))
            logits = buffer[: here.stop - start]
            for (rows, columns), span in zip(sides, spans, strict=True):
                torch.mm(rows[here], columns.T, out=logits[:, span])
                _add_bias(logits[:, span], bias, None if own is None else own[here], own_bias)
            if extra is not None:
                logits[:, -1] = extra[here]
            total += _softmax_(logits).sum(dtype=torch.float64)
            if not wanted:
                continue
            for number, ((rows, columns), span) in enumerate(zip(sides, spans, strict=True)):
                torch.mm(logits[:, span], columns, out=grads[2 * number][here])
                grads[2 * number + 1].addmm_(logits[:, span].T, rows[here])
            if extra is not None:
                grads[-1][here] = logits[:, -1]
        ctx.save_for_backward(*grads)
        ctx.n = n
        return (total / n).to(tensors[0].dtype)

    @staticmethod
    def backward(ctx: Any, *upstream: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        return (None,) * 5 + tuple(grad * (upstream[0] / ctx.n) for grad in ctx.saved_tensors)


def _softmax_(logits: torch.Tensor) -> torch.Tensor:
    """Each row's softmax, in place, and the logarithms of their denominators.

    The largest share of a row is 1 / sum exp(logit - largest logit): the exponentials are computed once.
    """
    largest = logits.amax(1)
    torch.softmax(logits, 1, out=logits)
    return largest - logits.amax(1).log()


def _add_bias(logits: torch.Tensor, bias: torch.Tensor | None, own: torch.Tensor | None, own_bias: float) -> None:
    """In place: `bias` to every column, `own_bias` instead to each row's own, if it has one."""
    if own is None:
        if bias is not None:
            logits += bias
        return
    with_own = (own >= 0).nonzero()[:, 0]
    column = own[with_own]
    mine = logits[with_own, column] + own_bias
    if bias is not None:
        logits += bias
    logits[with_own, column] = mine
