"""What every encoder asks of its windows before it looks at them."""

from __future__ import annotations

from timbrec.errors import AudioError
from timbrec.types import Array, Float32


def mono(windows: Float32[Array, "n samples"]) -> Float32[Array, "n samples"]:
    """The windows themselves, if they are (n, samples) float32.

    Raises AudioError for anything else: channels taken for samples, or whole numbers for amplitudes, would give vectors
    that look right.
    """
    if windows.ndim != 2 or windows.dtype != "float32":
        raise AudioError(
            f"windows are {windows.dtype} of shape {windows.shape}, not float32 of shape (n, samples)",
            fix="Mix the channels down, and scale samples to [-1, 1].",
        )
    return windows
