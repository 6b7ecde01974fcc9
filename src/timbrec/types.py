"""Types shared by all layers. Shapes of arrays are written in signatures and checked by beartype in the tests."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING or "jaxtyping" in sys.modules:  # loaded by the tests; with numpy, it costs a command 0.2 s
    import numpy as np
    from jaxtyping import Bool, Float, Float32, Int, Integer, UInt64

    Array = np.ndarray
else:

    class _Unchecked:
        """A placeholder for the array types when shapes are not checked."""

        def __class_getitem__(cls, shape: object) -> Any:
            return Any

    Bool = Float = Float32 = Int = Integer = UInt64 = _Unchecked
    Array = Any

Progress = Callable[[str, int, int], None]  # called with the name of the current step, steps done, steps in total

WindowPolicy = Literal["spread", "centre", "first", "all", "padded"]  # see `audio.Windows`
Pool = Literal["mean", "max", "meanstd"]  # see `embed.pool`

__all__ = ["Array", "Bool", "Float", "Float32", "Int", "Integer", "Pool", "Progress", "UInt64", "WindowPolicy"]
