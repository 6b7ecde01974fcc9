"""Checks for unusable signals: channels in opposite phase, constants, samples far beyond full scale."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from timbrec.types import Array, Float32

SILENCE = 1e-4  # a peak below -80 dBFS, under the dither of 16 bits
LOUD, TOO_LOUD = 2.0, 100.0  # peaks, as multiples of full scale
WEAK, CANCELLED = 0.2, 2e-3  # power of the mix, as a share of the power of a mix of uncorrelated channels
_STRIDE = 17  # powers are compared on every 17th sample


class Remark(NamedTuple):
    """An oddity of a file that is used nevertheless, and a fix for it."""

    reason: str
    fix: str


class Levels:
    """Running extremes of the mix, and the power that the channels lose by mixing."""

    def __init__(self) -> None:
        self._low, self._high = np.inf, -np.inf
        self._length = self._count = 0  # samples, and samples with compared powers
        self._mixed = self._channels = self._unrelated = 0.0

    def add(self, mono: Float32[Array, "n"], channels: Sequence[Array], scale: int, zero: int) -> bool:
        """Add a block: the mean of its channels, and the channels as decoded. False if a sample is not finite."""
        if not len(mono):
            return True
        low, high = float(mono.min()), float(mono.max())
        if not (math.isfinite(low) and math.isfinite(high)):
            return False
        self._low, self._high = min(self._low, low), max(self._high, high)
        self._length += len(mono)
        if len(channels) > 1:
            power = sum(_power(channel, scale, zero) for channel in channels) / len(channels)
            self._count += len(mono[::_STRIDE])
            self._channels += power
            self._unrelated += power / len(channels)
            self._mixed += _power(mono, 1, 0)
        return True

    def error(self) -> Remark | None:
        """Reason why the signal cannot be used, and a fix; None if it can."""
        peak = max(-self._low, self._high)
        if self._channels > SILENCE**2 * self._count and self._mixed < CANCELLED * self._unrelated:
            return Remark(
                "has channels in opposite phase, which cancel each other when they are mixed",
                "Flip the phase of one channel, or keep one channel.",
            )
        if peak > TOO_LOUD:
            return Remark(f"holds samples of up to {peak:,.4g} times full scale", "Scale its samples to [-1, 1].")
        if peak >= SILENCE and self._length > 1 and self._high - self._low < 2 * SILENCE:
            return Remark(f"is constant: all samples are {self._high:.2g}", "Leave it out, or get it again.")
        return None

    def remarks(self) -> list[Remark]:
        """Remarks on odd levels."""
        odd, peak = [], max(-self._low, self._high)
        if self._channels > SILENCE**2 * self._count and self._mixed < WEAK * self._unrelated:
            share = self._mixed / self._channels
            odd.append(
                Remark(
                    f"its channels nearly cancel each other (opposite phase): {share:.1%} of their power is left",
                    "Flip the phase of one channel, or keep one channel.",
                )
            )
        if peak > LOUD:
            odd.append(Remark(f"its peak is {peak:.3g} times full scale", "Scale its samples to [-1, 1]."))
        return odd


def _power(samples: Array, scale: int, zero: int) -> float:
    """Sum of squares of every 17th sample, with full scale as 1."""
    values = (samples[::_STRIDE].astype(np.float64) - zero) / scale
    return float(values @ values)
