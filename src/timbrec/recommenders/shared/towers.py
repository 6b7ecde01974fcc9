"""Towers: small networks from content vectors to unit vectors, for training and for serving."""

from __future__ import annotations

import copy
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import nn

from timbrec.recommenders.shared.scaling import Scaling
from timbrec.types import Array, Float32, Int

_EPSILON = 1e-8  # lower bound of a norm in a division; if every unit is off, the vector is zero
_ROWS = 8192  # rows in a block outside training


def unit(vectors: torch.Tensor) -> torch.Tensor:
    """Rows divided by their L2 norms. Rows with a norm below 1e-8 stay near zero and have no gradient."""
    return _Unit.apply(vectors)  # type: ignore[no-untyped-call] # torch publishes no type


class _Unit(torch.autograd.Function):
    """Like torch's `normalize`, with half the memory traffic."""

    @staticmethod
    def forward(ctx: Any, vectors: torch.Tensor) -> torch.Tensor:
        norms = torch.linalg.vector_norm(vectors, dim=1, keepdim=True)
        units = vectors / norms.clamp(min=_EPSILON)
        ctx.save_for_backward(units, norms)
        return units

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> torch.Tensor:
        units, norms = ctx.saved_tensors
        along = torch.linalg.vecdot(units, grads[0])[:, None]
        return torch.addcmul(grads[0], units, along, value=-1).mul_(torch.where(norms > _EPSILON, 1 / norms, 0))


class Tower(nn.Module):
    """Linear layers of these sizes with ReLU between them (and after the last if `closed`), then L2 normalisation.

    `settings` are the arguments for creating an equal tower.
    """

    def __init__(self, sizes: list[int], closed: bool = False) -> None:
        layers: list[nn.Module] = []
        for dim, width in pairwise(sizes):
            layers += [nn.Linear(dim, width), nn.ReLU()]
        super().__init__()
        self.layers = nn.Sequential(*layers if closed else layers[:-1])
        self.settings: dict[str, Any] = {"sizes": sizes, "closed": closed}

    def forward(self, vectors: torch.Tensor) -> torch.Tensor:
        """Unit vectors, or zero where the last layer is all zero."""
        return unit(self.layers(vectors))

    def frozen(self) -> Tower:
        """A copy on the CPU without gradients."""
        return copy.deepcopy(self).cpu().requires_grad_(False)

    def embed(
        self,
        vectors: torch.Tensor | Float32[Array, "n dim"],
        scaling: Scaling | None = None,
        rows: Int[Array, "m"] | None = None,
    ) -> Float32[Array, "_ width"]:
        """Unit vectors (n, width) for serving: `forward` without gradients, in blocks, as a numpy array.

        With `scaling`, of the scaled vectors. With `rows`, ascending, only these rows (m, width) of the result, to the
        bit: a block with any of them is computed whole.
        """
        weights, table = next(self.parameters()), torch.as_tensor(vectors)
        out = np.empty((len(table) if rows is None else len(rows), self.settings["sizes"][-1]), np.float32)
        with torch.no_grad():
            for start in range(0, len(table), _ROWS):
                end = start + _ROWS
                part = slice(start, end) if rows is None else slice(*np.searchsorted(rows, (start, end)).tolist())
                if part.start < part.stop:
                    block = table[start:end].to(weights)
                    units = self(block if scaling is None else scaling.tensor(block)).cpu().numpy()
                    out[part] = units if rows is None else units[rows[part] - start]
        return out
