"""Windows of audio: a check of shape and type, and batches on a device."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from timbrec.errors import AudioError
from timbrec.types import Array, Float32

if TYPE_CHECKING:
    import torch


def mono(windows: Float32[Array, "n samples"]) -> Float32[Array, "n samples"]:
    """The windows themselves, checked to be (n, samples) float32.

    Raises AudioError otherwise: channels read as samples, or integers read as amplitudes, would give plausible but
    wrong vectors.
    """
    if windows.ndim != 2 or windows.dtype != "float32":
        raise AudioError(
            f"windows are {windows.dtype} of shape {windows.shape}, not float32 of shape (n, samples)",
            fix="Mix the channels down, and scale samples to [-1, 1].",
        )
    return windows


def batches(windows: Float32[Array, "n samples"], at_once: int, device: str) -> Iterator[torch.Tensor]:
    """Batches of at most `at_once` windows, at least one each, copied to the device."""
    import torch

    step = max(1, at_once)
    for start in range(0, len(windows), step):
        yield torch.from_numpy(np.array(windows[start : start + step])).to(device)
