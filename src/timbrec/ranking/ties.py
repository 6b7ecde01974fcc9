"""The order of items with equal scores, without PyTorch: importing it takes longer than a search in a model."""

from __future__ import annotations

import numpy as np

from timbrec.types import Array, Int


def tie_order(n_items: int, seed: int) -> Int[Array, "n_items"]:
    """A seeded random place for each item, by which ties are broken; row order would leak ids and time."""
    return np.random.default_rng([seed, 0x71E5]).permutation(n_items)
