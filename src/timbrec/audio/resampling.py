"""Resampling a stream of blocks, by soxr or as librosa did before version 0.10."""

from __future__ import annotations

import importlib.util
import math
from typing import Any, Protocol, runtime_checkable

import numpy as np
import soxr

from timbrec.errors import ConfigError
from timbrec.types import Array, Float32

SOXR, KAISER = "soxr", "kaiser_best"
RESAMPLERS = (SOXR, KAISER)


@runtime_checkable
class Resampler(Protocol):
    """Converter of a stream of blocks from one sample rate to another."""

    def __call__(self, block: Float32[Array, "n"]) -> Float32[Array, "m"]:
        """Return the samples that are complete with this block."""

    def rest(self) -> Float32[Array, "m"]:
        """Return the remaining samples after the last block."""


def check_resampler(name: str) -> None:
    """Raise ConfigError for an unknown resampler, and for a missing package."""
    if name not in RESAMPLERS:
        raise ConfigError(f"there is no resampler {name!r}", fix=f"Known: {', '.join(RESAMPLERS)}.")
    if name == KAISER and importlib.util.find_spec("resampy") is None:
        raise ConfigError(f"the resampler {name!r} needs the package resampy", fix="pip install timbrec[resampy]")


def resampler(rate: int, to: int, name: str = SOXR) -> Resampler:
    """Return a resampler from `rate` to `to` Hz: `soxr` (quality HQ) or `kaiser_best` of resampy.

    At equal rates, blocks are returned unchanged. Raises ConfigError like `check_resampler`.
    """
    check_resampler(name)
    if rate == to:
        return _Unchanged()
    return _Soxr(rate, to) if name == SOXR else _Kaiser(rate, to)


class _Unchanged:
    def __call__(self, block: Float32[Array, "n"]) -> Float32[Array, "n"]:
        return block

    def rest(self) -> Float32[Array, "m"]:
        return np.empty(0, np.float32)


class _Soxr:
    def __init__(self, rate: int, to: int) -> None:
        self._stream = soxr.ResampleStream(rate, to, 1, dtype="float32", quality="HQ")

    def __call__(self, block: Float32[Array, "n"]) -> Float32[Array, "m"]:
        return self._stream.resample_chunk(block)

    def rest(self) -> Float32[Array, "m"]:
        return self._stream.resample_chunk(np.empty(0, np.float32), last=True)


class _Kaiser:
    """resampy's `kaiser_best`, block by block: the same samples as from the whole signal at once.

    Outputs repeat their phase every `_period` input samples, so blocks are cut at multiples of it. A block is resampled
    with the samples around it that the filter reaches.
    """

    def __init__(self, rate: int, to: int) -> None:
        from resampy.filters import get_filter

        self._rate, self._to = rate, to
        common = math.gcd(rate, to)
        self._period, self._per_period = rate // common, to // common  # input and output samples
        taps, precision, _ = get_filter(KAISER)
        reach = len(taps) / precision / min(1.0, to / rate)  # of the filter, in input samples
        self._margin = 1 + math.ceil(reach / self._period)  # periods
        self._held = np.empty(0, np.float32)
        self._before = 0  # periods of `_held` that only serve as context

    def __call__(self, block: Float32[Array, "n"]) -> Float32[Array, "m"]:
        self._held = np.concatenate([self._held, block])
        complete = len(self._held) // self._period - self._margin  # periods with all their context
        if complete <= self._before:
            return np.empty(0, np.float32)
        output = self._resampled()[self._before * self._per_period : complete * self._per_period]
        dropped = max(0, complete - self._margin)
        self._held, self._before = self._held[dropped * self._period :], complete - dropped
        return output

    def rest(self) -> Float32[Array, "m"]:
        return self._resampled()[self._before * self._per_period :]

    def _resampled(self) -> Float32[Array, "m"]:
        import resampy

        if len(self._held) * self._to < self._rate:  # resampy refuses signals of less than one output sample
            return np.empty(0, np.float32)
        output: Any = resampy.resample(self._held, self._rate, self._to, filter=KAISER)
        return output
