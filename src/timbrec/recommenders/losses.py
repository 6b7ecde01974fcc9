"""Losses: decoupled contrastive ones (Yeh et al. 2022, and the study's variants), and ELSA's error without its matrix.

In the contrastive losses z1 and z2 are (n, dim) unit vectors of the same n items from two sides, t the temperature,
s[i] = z1[i] . z2[i], and w[i] = 1, or in the W losses w[i] = 2 - n softmax(s / sigma)[i], which is not detached: pairs
that agree already weigh less. One direction is

    D(z1, z2) = mean over i of  -w[i] s[i] / t + log sum over j != i of exp(negatives / t)

where the positive stands outside the sum; "cross" negatives are z1[i] . z2[j], "own" ones z1[i] . z1[j] or
z2[i] . z2[j].

| name | minimised | negatives of D(z1, z2) |
|---|---|---|
| DCL, DCLW | D(z1, z2) + D(z2, z1) | cross, z1's own |
| SDCL | D(z1, z2), one direction | cross, z1's own, z2's own |
| SDCLW | (D(z1, z2) + D(z2, z1)) / 2: swapping the sides changes nothing | cross, z1's own, z2's own |
| ADCL, ADCLW | D(z1, z2), one direction | cross alone |

SDCLW is what its name says; the study's class of that name computes the one-way DCLW.
"""

from __future__ import annotations

import math
from typing import Literal

import torch

from timbrec.recommenders.log_sum import mean_log_sum
from timbrec.recommenders.sparse import row_sums

ContrastiveLoss = Literal["DCL", "DCLW", "SDCL", "SDCLW", "ADCL", "ADCLW"]
_NEGATIVES = {"DCL": ("cross", "own"), "SDCL": ("cross", "own", "other"), "ADCL": ("cross",)}
_OUT = math.log(1e-45)  # what an item's similarity to itself is lowered by; finite, so that one item alone has a loss


def contrastive(
    name: ContrastiveLoss,
    z1: torch.Tensor,
    z2: torch.Tensor,
    temperature: float = 0.1,
    sigma: float = 0.5,
    block: int = 512,
) -> torch.Tensor:
    """The loss of this name, as it is minimised."""
    there = one_way(name, z1, z2, temperature, sigma, block)
    if name in ("SDCL", "ADCL", "ADCLW"):
        return there
    both = there + one_way(name, z2, z1, temperature, sigma, block)
    return both / 2 if name == "SDCLW" else both


def one_way(
    name: ContrastiveLoss,
    z1: torch.Tensor,
    z2: torch.Tensor,
    temperature: float = 0.1,
    sigma: float = 0.5,
    block: int = 512,
) -> torch.Tensor:
    """D(z1, z2) of the table above, worked on in blocks of items."""
    positive = (z1 * z2).sum(1)
    weights = 2 - len(z1) * torch.softmax(positive / sigma, 0) if name.endswith("W") else 1
    t1, t2 = z1 / temperature, z2 / temperature
    sides = {"cross": (t1, z2), "own": (t1, z1), "other": (t2, z2)}
    against = [sides[kind] for kind in _NEGATIVES[name.removesuffix("W")]]
    own = torch.arange(len(z1), device=z1.device)
    return mean_log_sum(against, block, own, _OUT) - (weights * positive).mean() / temperature


def nmse(starts: torch.Tensor, items: torch.Tensor, vectors: torch.Tensor, columns: int) -> torch.Tensor:
    """ELSA's loss (Vancura et al. 2022): the mean squared difference of L2-normalised xAA^T - x and x.

    Row u of the binary x has ones at `items[starts[u]:starts[u + 1]]`, A = `vectors` has unit rows, and the mean is
    over users times `columns`. With y = xAA^T - x and s = xA it needs neither x nor y: y . x = |s|^2 - |x|^2 and
    |y|^2 = s (A^T A) s^T - 2 |s|^2 + |x|^2. A user without items, or whose y is zero, has cosine 0.
    """
    sums = row_sums(starts, items, vectors)
    plays = starts.diff().to(sums)
    own = sums.square().sum(1)
    energy = _energy(sums, vectors)
    rounding = torch.finfo(sums.dtype).eps * energy.detach()  # below this |y|^2 is noise, and its root would blow it up
    square = torch.maximum(energy - 2 * own + plays, rounding)
    cosine = (own - plays) / (square * plays).clamp(min=torch.finfo(sums.dtype).tiny).sqrt()
    return ((plays > 0) * 2 * (1 - cosine)).sum() / (len(plays) * columns)


def _energy(sums: torch.Tensor, vectors: torch.Tensor) -> torch.Tensor:
    """|s A^T|^2 of every row s: through A^T A, or through the product itself where there are few rows."""
    if 3 * len(sums) < 2 * vectors.shape[1]:
        return (sums @ vectors.T).square().sum(1)
    return (sums @ (vectors.T @ vectors) * sums).sum(1)
