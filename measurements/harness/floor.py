"""The floor: the time that no implementation can beat, at the rates this machine has in this run.

An algorithm must do its multiplications and additions, here at the rate of one bare matrix product of the shape that
dominates it, and move the bytes that no cache can save it: rows gathered or scattered, and what the optimiser reads
and writes. Rows summed out of a table that a cache does hold are charged at the rate of a bare sum of rows of such a
table. All are charged one after the other; nothing else is, neither activations nor elementwise work.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import nn

from . import seconds

FLOAT = 4  # bytes
ADAM = 7 * FLOAT  # bytes per weight: reads weight, gradient and both moments, writes weight and moments

_COPIED = 2**26  # floats: eight times what a large cache holds
_BAGS, _IN_A_BAG = 1000, 200


@dataclass(frozen=True)
class Work:
    """`products`: multiplications and additions. `moved`: bytes read and written. `summed`: bytes of summed rows."""

    products: float
    moved: float
    summed: float = 0.0

    def seconds(self, rates: Rates) -> float:
        """The floor."""
        return self.products / rates.products + self.moved / rates.moved + self.summed / rates.summed


@dataclass(frozen=True)
class Rates:
    """Operations per second of a matrix product, bytes per second of a copy, and of sums of rows."""

    products: float
    moved: float
    summed: float

    def __str__(self) -> str:
        rates = f"{self.products / 1e9:.0f} GFLOP/s, {self.moved / 1e9:.0f} GB/s"
        return rates if math.isinf(self.summed) else f"{rates}, rows summed at {self.summed / 1e9:.0f} GB/s"


class Probe:
    """Measures the rates, on memory of its own that is allocated once; sums in a `table` of that shape, if there is."""

    def __init__(self, rows: int, inner: int, columns: int, table: tuple[int, int] | None = None) -> None:
        self.left, self.right = torch.randn(rows, inner), torch.randn(inner, columns)
        self.product, self.operations = torch.empty(rows, columns), 2 * rows * inner * columns
        self.source, self.target = torch.zeros(_COPIED), torch.zeros(_COPIED)
        self.table = None if table is None else torch.randn(table)
        self.chosen = torch.randint(table[0] if table else 1, (_BAGS, _IN_A_BAG))

    def rates(self) -> Rates:
        """The better of two tries each: the floor is a property of the undisturbed machine."""
        products = [seconds(lambda: torch.mm(self.left, self.right, out=self.product)) for _ in range(2)]
        copies = [seconds(lambda: self.target.copy_(self.source)) for _ in range(2)]
        return Rates(self.operations / min(products), 2 * FLOAT * _COPIED / min(copies), self._summed())

    def _summed(self) -> float:
        if (table := self.table) is None:
            return math.inf
        sums = [seconds(lambda: nn.functional.embedding_bag(self.chosen, table, mode="sum")) for _ in range(2)]
        return self.chosen.numel() * table.shape[1] * FLOAT / min(sums)
