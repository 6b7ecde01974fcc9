"""Adam for tables of which a step uses few rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.optim.adam import adam

_ELEMENTS = 2**22  # of the gradient that is laid out at once


class RowAdam(torch.optim.Adam):
    """PyTorch's fused Adam, which also takes sparse gradients and gives the result of the dense ones to the bit.

    All rows of a table move, because the moments of earlier steps go on. A sparse gradient is laid out for a block of
    rows at a time, which saves a table of gradients.
    """

    def __init__(self, parameters: Any, lr: float) -> None:
        super().__init__(parameters, lr, fused=True)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update all parameters; gradients that are sparse are dropped."""
        tables = [
            (table, group, self._taken(table))
            for group in self.param_groups
            for table in group["params"]
            if table.grad is not None and table.grad.is_sparse
        ]
        loss = super().step(closure)
        for table, group, gradient in tables:
            self._update(table, group, gradient)
        return loss

    def _taken(self, table: torch.Tensor) -> torch.Tensor:
        """The gradient, taken from the table, for which the moments are made if this is its first step."""
        gradient, table.grad = table.grad, None
        if not self.state[table]:
            moments = {name: torch.zeros_like(table) for name in ("exp_avg", "exp_avg_sq")}
            self.state[table] = {"step": torch.zeros((), device=table.device), **moments}
        assert gradient is not None
        return gradient

    def _update(self, table: torch.Tensor, group: dict[str, Any], gradient: torch.Tensor) -> None:
        """Take the step of a table, block by block."""
        state, (beta1, beta2) = self.state[table], group["betas"]
        rows, order = gradient._indices()[0].sort(stable=True)
        size = max(_ELEMENTS // table.shape[1], 1)
        starts = range(0, len(table), size)
        edges = torch.searchsorted(rows, torch.tensor([*starts, len(table)], device=rows.device)).tolist()
        block = gradient._values().new_zeros(min(size, len(table)), table.shape[1])
        step = state["step"]
        for number, start in enumerate(starts):
            places = slice(edges[number], edges[number + 1])
            part = slice(start, min(start + size, len(table)))
            dense = block[: part.stop - part.start].zero_()
            dense.index_add_(0, rows[places] - start, gradient._values()[order[places]])
            step = state["step"].clone()  # `adam` counts on
            adam(
                [table[part]], [dense], [state["exp_avg"][part]], [state["exp_avg_sq"][part]], [], [step],
                fused=True, amsgrad=False, beta1=beta1, beta2=beta2, lr=group["lr"],
                weight_decay=group["weight_decay"], eps=group["eps"], maximize=False,
            )  # fmt: skip
        state["step"] = step
