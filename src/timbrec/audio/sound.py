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
OPPOSITE = 0.05  # share of a track's length in which its channels may cancel each other without a remark
ZEROS = 0.25  # share of a track's length that may be digital silence without a remark
GAP = 2.0  # seconds of zeros between sound that need no remark
_STRIDE = 17  # powers are compared on every 17th sample


class Remark(NamedTuple):
    """An oddity of a file that is used nevertheless, and a fix for it."""

    reason: str
    fix: str


class Levels:
    """Running extremes of the mix, the power that the channels lose by mixing, and gaps of zeros.

    `rate` is the sample rate in Hz.
    """

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._low, self._high = np.inf, -np.inf
        self._length = self._count = 0  # samples, and samples with compared powers
        self._mixed = self._channels = self._unrelated = 0.0
        self._zeros = 0  # samples in blocks of zeros
        self._sound_at: int | None = None  # place of the last sample with sound
        self._gap = (0, 0)  # start and length of the longest run of zeros between sound
        self._sounding = self._opposite = 0  # compared samples in blocks with sound, and in blocks that cancel

    def add(self, mono: Float32[Array, "n"], channels: Sequence[Array], scale: int, zero: int) -> bool:
        """Add a block: the mean of its channels, and the channels as decoded. False if a sample is not finite."""
        if not len(mono):
            return True
        low, high = float(mono.min()), float(mono.max())
        if not (math.isfinite(low) and math.isfinite(high)):
            return False
        self._low, self._high = min(self._low, low), max(self._high, high)
        self._find_gap(mono)
        self._length += len(mono)
        if low == high == 0 and all((channel == zero).all() for channel in channels):
            self._zeros += len(mono)
        if len(channels) > 1:
            self._compare(mono, channels, scale, zero)
        return True

    def _compare(self, mono: Float32[Array, "n"], channels: Sequence[Array], scale: int, zero: int) -> None:
        """Add the powers of the channels and of their mix in a block."""
        count, mixed = len(mono[::_STRIDE]), _power(mono, 1, 0)
        power = sum(_power(channel, scale, zero) for channel in channels) / len(channels)
        self._count += count
        self._channels += power
        self._unrelated += power / len(channels)
        self._mixed += mixed
        if power > SILENCE**2 * count:
            self._sounding += count
            self._opposite += count * (mixed < CANCELLED * power / len(channels))

    def _find_gap(self, mono: Float32[Array, "n"]) -> None:
        """Remember the longest run of zeros with sound before and after it, by every 17th sample."""
        sound = np.flatnonzero(mono[::_STRIDE]) * _STRIDE + self._length
        if not len(sound):
            return
        places = sound if self._sound_at is None else np.concatenate([[self._sound_at], sound])
        self._sound_at = int(sound[-1])
        if len(places) > 1:
            runs = np.diff(places)
            longest = int(runs.argmax())
            self._gap = max(self._gap, (int(places[longest]), int(runs[longest])), key=lambda gap: gap[1])

    def error(self) -> Remark | None:
        """The reason why the signal cannot be used, and a fix; None for a usable signal."""
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
        elif self._opposite > OPPOSITE * self._sounding:
            share = self._opposite / self._sounding
            odd.append(
                Remark(
                    f"its channels cancel each other (opposite phase) in {share:.0%} of its length",
                    "Flip the phase of one channel there, or keep one channel.",
                )
            )
        if ZEROS * self._length < self._zeros < self._length:
            share = self._zeros / self._length
            odd.append(Remark(f"{share:.0%} of its length are zeros", "Get it again, if that is not meant."))
        elif (seconds := self._gap[1] / self._rate) > GAP:
            start = self._gap[0] / self._rate
            odd.append(
                Remark(f"it has {seconds:.1f} s of zeros after {start:.1f} s", "Get it again, if that is not meant.")
            )
        if peak > LOUD:
            odd.append(Remark(f"its peak is {peak:.3g} times full scale", "Scale its samples to [-1, 1]."))
        return odd


def _power(samples: Array, scale: int, zero: int) -> float:
    """Sum of squares of every 17th sample, with full scale as 1."""
    values = (samples[::_STRIDE].astype(np.float64) - zero) / scale
    return float(values @ values)
