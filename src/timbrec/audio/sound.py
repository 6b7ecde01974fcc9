"""Signals that decode well and are no music: opposite channels, a constant, samples far beyond full scale."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from timbrec.types import Array, Float32

SILENCE = 1e-4  # a peak below -80 dBFS, under the dither of 16 bits
LOUD, TOO_LOUD = 2.0, 100.0  # peaks, as multiples of full scale
WEAK, CANCELLED = 0.2, 2e-3  # power of the mixture, as a share of what unrelated channels would leave
_STRIDE = 17  # every so many samples are enough to compare powers


class Remark(NamedTuple):
    """What is odd about a file that is used all the same, and what can be done about it."""

    reason: str
    fix: str


class Levels:
    """Extremes of the mixed signal, and the power lost by mixing, over all blocks so far."""

    def __init__(self) -> None:
        self._low, self._high = np.inf, -np.inf
        self._length = self._count = 0  # samples, and those whose powers are compared
        self._mixed = self._channels = self._unrelated = 0.0

    def add(self, mono: Float32[Array, "n"], channels: Sequence[Array], scale: int, zero: int) -> bool:
        """Take the mean of some channels and the channels as decoded; False where a sample is not finite."""
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
        """Why the sound cannot be used."""
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
        """What is odd about the sound."""
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
    """The sum of the squares of every so many samples, full scale as 1."""
    values = (samples[::_STRIDE].astype(np.float64) - zero) / scale
    return float(values @ values)
