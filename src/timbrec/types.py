"""Array types shared by all layers. Shapes are written in signatures and checked by beartype in the tests."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Float32, Int, Integer, UInt64

Array = np.ndarray

__all__ = ["Array", "Bool", "Float", "Float32", "Int", "Integer", "UInt64"]
