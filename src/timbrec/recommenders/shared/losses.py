"""Losses: decoupled contrastive losses (Yeh et al. 2022, and variants of Tamm & Aljanaki 2026), and ELSA's.

In the contrastive losses z1 and z2 are (n, dim) unit vectors of the same n items from two sides, t is the temperature
and s[i] = z1[i] . z2[i]. The weight w[i] is 1; in the losses whose name ends in W it is 2 - n softmax(s / sigma)[i],
with gradient, so that pairs that already agree weigh less. One direction is

    D(z1, z2) = mean over i of  -w[i] s[i] / t + log sum over j != i of exp(negatives / t)

The positive is not part of the sum. "Cross" negatives are z1[i] . z2[j]; "own" negatives are z1[i] . z1[j] or
z2[i] . z2[j].

| name | loss | negatives of D(z1, z2) |
|---|---|---|
| DCL, DCLW | D(z1, z2) + D(z2, z1) | cross, z1's own |
| SDCL | D(z1, z2), one direction | cross, z1's own, z2's own |
| SDCLW | (D(z1, z2) + D(z2, z1)) / 2: swapping the sides changes nothing | cross, z1's own, z2's own |
| ADCL, ADCLW | D(z1, z2), one direction | cross alone |

SDCLW is the symmetric weighted loss of its name; the paper's class SDCLW computes the one-way DCLW.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import torch

from timbrec.recommenders.shared.log_sum import mean_log_sum
from timbrec.recommenders.shared.sparse import row_sums, transposed

ContrastiveLoss = Literal["DCL", "DCLW", "SDCL", "SDCLW", "ADCL", "ADCLW"]
_NEGATIVES = {"DCL": ("cross", "own"), "SDCL": ("cross", "own", "other"), "ADCL": ("cross",)}
_OUT = math.log(1e-45)  # added to an item's similarity to itself; finite, so that a batch of a single item has a loss


def contrastive(
    name: ContrastiveLoss,
    z1: torch.Tensor,
    z2: torch.Tensor,
    temperature: float = 0.1,
    sigma: float = 0.5,
    block: int = 512,
) -> torch.Tensor:
    """The loss `name` of the table above, a scalar."""
    forward = one_way(name, z1, z2, temperature, sigma, block)
    if name in ("SDCL", "ADCL", "ADCLW"):
        return forward
    total = forward + one_way(name, z2, z1, temperature, sigma, block)
    return total / 2 if name == "SDCLW" else total


def one_way(
    name: ContrastiveLoss,
    z1: torch.Tensor,
    z2: torch.Tensor,
    temperature: float = 0.1,
    sigma: float = 0.5,
    block: int = 512,
) -> torch.Tensor:
    """D(z1, z2) of the table above, computed in blocks of items."""
    positive = (z1 * z2).sum(1)
    weights = 2 - len(z1) * torch.softmax(positive / sigma, 0) if name.endswith("W") else 1
    t1, t2 = z1 / temperature, z2 / temperature
    sides = {"cross": (t1, z2), "own": (t1, z1), "other": (t2, z2)}
    against = [sides[kind] for kind in _NEGATIVES[name.removesuffix("W")]]
    own = torch.arange(len(z1), device=z1.device)
    return mean_log_sum(against, block, own, _OUT) - (weights * positive).mean() / temperature


def nmse(
    starts: torch.Tensor, items: torch.Tensor, vectors: torch.Tensor, columns: int, block: int = 256
) -> torch.Tensor:
    """ELSA's loss (Vancura et al. 2022): the mean squared difference of L2-normalised xAA^T - x and x.

    Row u of the binary x has ones at `items[starts[u]:starts[u + 1]]`. A = `vectors` has rows of norm 1. The mean is
    over users and `columns`. With y = xAA^T - x and s = xA, neither x nor y is needed: y . x = |s|^2 - |x|^2 and
    |y|^2 = s (A^T A) s^T - 2 |s|^2 + |x|^2. The cosine is 0 for a user without items and for y = 0. `block` users are
    processed at a time, and the gradient is computed in the forward pass.
    """
    with_grad = torch.is_grad_enabled() and vectors.requires_grad
    return _NMSE.apply(starts, items, vectors, columns, block, with_grad)  # type: ignore[no-untyped-call] # torch's


class _NMSE(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        starts: torch.Tensor,
        items: torch.Tensor,
        vectors: torch.Tensor,
        columns: int,
        block: int,
        with_grad: bool,
    ) -> torch.Tensor:
        users, total = len(starts) - 1, vectors.new_zeros(())
        few = 3 * users < 2 * vectors.shape[1]  # the products of users and items then cost less than A^T A
        inner = None if few else vectors.T @ vectors
        by_products = torch.zeros_like(vectors if inner is None else inner) if with_grad else None
        to_sums = vectors.new_empty(users, vectors.shape[1]) if with_grad else None
        for first in range(0, users, block):
            edges, into = starts[first : first + block + 1], None if to_sums is None else to_sums[first : first + block]
            block_items = items[edges[0] : edges[-1]]
            total += _of_users(edges - edges[0], block_items, vectors, inner, by_products, into)
        grad, inner = None, None
        if by_products is not None and to_sums is not None:
            grad = row_sums(*transposed(starts, items, len(vectors)), to_sums)
            del to_sums
            grad = grad.add_(by_products) if few else grad.addmm_(vectors, by_products)
        ctx.grad, ctx.scale = grad, 2 / (users * columns)
        return total * ctx.scale

    @staticmethod
    def backward(ctx: Any, *upstream: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        grad, ctx.grad = ctx.grad, None
        return None, None, grad.mul_(-2 * ctx.scale * upstream[0]), None, None, None


def _of_users(
    starts: torch.Tensor,
    items: torch.Tensor,
    vectors: torch.Tensor,
    inner: torch.Tensor | None,
    by_products: torch.Tensor | None,
    to_sums: torch.Tensor | None,
) -> torch.Tensor:
    """The sum of 1 - cos(y, x) over a block of users.

    The gradient with respect to s is written to `to_sums`. The gradient through the products (through A^T A if `inner`
    holds it) is added to `by_products`.
    """
    sums = row_sums(starts, items, vectors)
    product = sums @ (vectors.T if inner is None else inner)
    energy = (product * (product if inner is None else sums)).sum(1)
    cosine, by_own, by_energy = _cosines(sums.square().sum(1), energy, starts.diff().to(sums))
    if by_products is not None and to_sums is not None:
        weighted = sums * by_energy[:, None]
        by_products.addmm_((product if inner is None else sums).T, weighted)
        if inner is None:
            product = product @ vectors
        torch.addcmul(product.mul_(by_energy[:, None]), sums, by_own[:, None], out=to_sums)
    return ((starts.diff() > 0) * (1 - cosine)).sum()


def _cosines(
    own: torch.Tensor, energy: torch.Tensor, plays: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """cos(y, x) from |s|^2, |s A^T|^2 and |x|^2, and its derivatives with respect to the first two."""
    least = torch.finfo(own.dtype)
    rounding = least.eps * energy  # a smaller |y|^2 is rounding noise, which the division would amplify
    square = energy - 2 * own + plays
    noise = square <= rounding
    square = torch.maximum(square, rounding)
    length = (square * plays).clamp(min=least.tiny).sqrt()
    cosine = (own - plays) / length
    by_square = torch.where(noise, 0, -cosine / (2 * square.clamp(min=least.tiny)))
    return cosine, 1 / length - 2 * by_square, by_square
