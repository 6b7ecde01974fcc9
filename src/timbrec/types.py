"""Types shared by all layers. Shapes of arrays are written in signatures and checked by beartype in the tests."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING or "jaxtyping" in sys.modules:  # the tests load it first; else it would add 0.1 s to every command
    from jaxtyping import Bool, Float, Float32, Int, Integer, UInt64
else:

    class _Unchecked:
        """Stands for all of them where nothing is checked."""

        def __class_getitem__(cls, shape: object) -> Any:
            return Any

    Bool = Float = Float32 = Int = Integer = UInt64 = _Unchecked

Array = np.ndarray

Progress = Callable[[str, int, int], None]  # called with the current step in words, steps done, steps in all

WindowPolicy = Literal["spread", "centre", "first", "all", "padded"]  # see `audio.Windows`
Pool = Literal["mean", "max", "meanstd"]  # see `embed.pool`

__all__ = ["Array", "Bool", "Float", "Float32", "Int", "Integer", "Pool", "Progress", "UInt64", "WindowPolicy"]
