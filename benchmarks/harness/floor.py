"""The floor: the time that no implementation can beat, at the rates this machine has in this run.

An algorithm must do its multiplications and additions, here at the rate of one bare matrix product of the shape that
dominates it, and move the bytes that no cache can save it: rows gathered or scattered, and what the optimiser reads
and writes. Both are charged one after the other; nothing else is charged, neither activations nor elementwise work.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from . import seconds

FLOAT = 4  # bytes
ADAM = 7 * FLOAT  # bytes per weight: reads weight, gradient and both moments, writes weight and moments

_COPIED = 2**26  # floats: eight times what a large cache holds


@dataclass(frozen=True)
class Work:
    """`products`: multiplications and additions. `moved`: bytes read and written."""

    products: float
    moved: float

    def seconds(self, rates: Rates) -> float:
        """The floor."""
        return self.products / rates.products + self.moved / rates.moved


@dataclass(frozen=True)
class Rates:
    """Operations per second of a matrix product, and bytes per second of a copy."""

    products: float
    moved: float

    def __str__(self) -> str:
        return f"{self.products / 1e9:.0f} GFLOP/s, {self.moved / 1e9:.0f} GB/s"


class Probe:
    """Measures the rates, on memory of its own that is allocated once."""

    def __init__(self, rows: int, inner: int, columns: int) -> None:
        self.left, self.right = torch.randn(rows, inner), torch.randn(inner, columns)
        self.product, self.operations = torch.empty(rows, columns), 2 * rows * inner * columns
        self.source, self.target = torch.zeros(_COPIED), torch.zeros(_COPIED)

    def rates(self) -> Rates:
        """The better of two tries each: the floor is what the machine can do, not what it did when disturbed."""
        products = [seconds(lambda: torch.mm(self.left, self.right, out=self.product)) for _ in range(2)]
        copies = [seconds(lambda: self.target.copy_(self.source)) for _ in range(2)]
        return Rates(self.operations / min(products), 2 * FLOAT * _COPIED / min(copies))
