"""Denominators of a softmax over projected items, without the matrix of logits or of projected items."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

_LOGITS = 2**20  # largest number of logits in a block, 4 MiB in float32: they stay in the cache
_FEWEST = 256  # items in a block; fewer make the matrix products slow


def projected_log_sum(
    rows: torch.Tensor, items: torch.Tensor, project: nn.Module, special: torch.Tensor | None = None
) -> torch.Tensor:
    """The mean over i of log sum over j of exp(rows[i] . columns[j]), a scalar.

    The columns are `project(items)`, which treats every item by itself, then `special` (m, width), if any. They are
    computed in blocks, twice: for the denominators, and for the gradient, which is computed in the forward pass. So
    the memory is independent of the number of items, except for the gradient of learned items (after the cut
    cross-entropy of Wijmans et al. 2025).
    """
    weights = [weight for weight in project.parameters() if weight.requires_grad]
    tensors = [rows, items, *([] if special is None else [special]), *weights]
    with_grad = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)
    return _ProjectedLogSum.apply(project, special is not None, with_grad, *tensors)  # type: ignore[no-untyped-call] # torch publishes no type


class _ProjectedLogSum(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, project: nn.Module, with_special: bool, with_grad: bool, rows: torch.Tensor, *tensors: torch.Tensor
    ) -> torch.Tensor:
        items, special = tensors[0], tensors[1] if with_special else None
        total = _log_sums(rows, project, items, special)
        grads: list[torch.Tensor | None] = [None] * (1 + len(tensors))
        if with_grad:
            grads = _gradients(rows, total, project, items, special, list(tensors[1 + with_special :]))
        ctx.save_for_backward(*grads)
        return total.mean()

    @staticmethod
    def backward(ctx: Any, *upstream: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        return None, None, None, *(None if grad is None else grad * upstream[0] for grad in ctx.saved_tensors)


def _log_sums(
    rows: torch.Tensor, project: nn.Module, items: torch.Tensor, special: torch.Tensor | None
) -> torch.Tensor:
    """log sum over j of exp(rows[i] . columns[j]) for each row i."""
    largest = rows.new_full((len(rows), 1), -torch.inf)
    total = torch.zeros_like(largest)
    for span in _spans(rows, items):
        _add(rows @ project(items[span]).T, largest, total)
    if special is not None:
        _add(rows @ special.T, largest, total)
    return (largest + total.log())[:, 0]


def _add(logits: torch.Tensor, largest: torch.Tensor, total: torch.Tensor) -> None:
    """Include logits in the running maxima and sums of exponentials. The logits are overwritten."""
    before = largest.clone()
    torch.maximum(before, logits.amax(1, keepdim=True), out=largest)
    total.mul_((before - largest).exp_()).add_(logits.sub_(largest).exp_().sum(1, keepdim=True))


def _gradients(
    rows: torch.Tensor,
    total: torch.Tensor,
    project: nn.Module,
    items: torch.Tensor,
    special: torch.Tensor | None,
    weights: list[torch.Tensor],
) -> list[torch.Tensor | None]:
    """Gradients of the mean of `total` with respect to rows, items, special and weights."""
    of_rows = torch.zeros_like(rows)
    of_items = torch.empty_like(items) if items.requires_grad else None
    of_weights = [torch.zeros_like(weight) for weight in weights]
    scaled = rows / len(rows)

    def of_columns(columns: torch.Tensor) -> torch.Tensor:
        """The gradient with respect to some columns; that of the rows is added to `of_rows`."""
        shares = torch.addmm(-total[:, None], rows, columns.T).exp_()
        of_rows.addmm_(shares, columns, alpha=1 / len(rows))
        return shares.T @ scaled

    for span in _spans(rows, items):
        leaf = items[span].detach().requires_grad_(items.requires_grad)
        with torch.enable_grad():
            columns = project(leaf)
        towards = of_columns(columns.detach())
        inputs = [*weights, *([leaf] if of_items is not None else [])]
        parts = torch.autograd.grad(columns, inputs, towards) if inputs else ()
        for of_weight, part in zip(of_weights, parts, strict=False):
            of_weight += part
        if of_items is not None:
            of_items[span] = parts[-1]
    of_special = [] if special is None else [of_columns(special.detach())]
    return [of_rows, of_items, *of_special, *of_weights]


def _spans(rows: torch.Tensor, items: torch.Tensor) -> Iterator[slice]:
    """Blocks of items."""
    size = max(_FEWEST, _LOGITS // max(len(rows), 1))
    return (slice(start, start + size) for start in range(0, len(items), size))
