"""Mel filters and mel power spectra."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

import numpy as np

from timbrec.types import Array, Float

if TYPE_CHECKING:
    import torch


def mel_bands(
    rate: int,
    n_fft: int,
    n_mels: int,
    *,
    scale: Literal["slaney", "htk"] = "slaney",
    norm: Literal["area", "l2", "none"] = "area",
) -> Float[Array, "mels bins"]:
    """Triangular filters from 0 Hz to rate/2, evenly spaced in mel.

    `slaney` (Auditory Toolbox, 1998) is linear up to 1,000 Hz, 3 mel per 200 Hz, and logarithmic above, 27 mel for a
    factor of 6.4; `htk` is 2595 log10(1 + Hz/700). `norm` scales a filter: `area` to an area of 1 over Hz, `l2` to a
    sum of squares of 1 over its bins, `none` to a peak of 1.
    """
    edges = (_slaney_edges if scale == "slaney" else _htk_edges)(rate, n_mels)
    bins = np.arange(n_fft // 2 + 1) * rate / n_fft
    low, centre, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rising, falling = (bins - low) / (centre - low), (high - bins) / (high - centre)
    triangles = np.minimum(rising, falling).clip(min=0)
    if norm == "area":
        return triangles * 2 / (high - low)
    return triangles / np.linalg.norm(triangles, axis=1, keepdims=True) if norm == "l2" else triangles


def mel_power(
    audio: torch.Tensor,
    bands: torch.Tensor,
    hop: int,
    *,
    win: int | None = None,
    pad_mode: str = "reflect",
) -> torch.Tensor:
    """(n, samples) to (n, mels, 1 + samples // hop): power of each band in frames centred every `hop` samples.

    Frames have `win` samples (None: the length of the transform) and a periodic Hann window. Beyond its ends the audio
    is mirrored (`reflect`, which needs at least half a transform of samples) or silent (`constant`).
    """
    import torch

    n_fft = 2 * (bands.shape[1] - 1)
    hann = torch.hann_window(win or n_fft, device=audio.device)
    spectrum = torch.stft(audio, n_fft, hop, win, hann, pad_mode=pad_mode, return_complex=True)
    return bands @ torch.view_as_real(spectrum).square().sum(-1)


def _slaney_edges(rate: int, n_mels: int) -> Float[Array, "edges"]:
    linear, step = 15.0, math.log(6.4) / 27  # mel at 1,000 Hz; log-frequency per mel above
    top = linear + math.log(rate / 2000) / step
    mels = np.linspace(0, top, n_mels + 2)
    return np.where(mels < linear, mels * 200 / 3, 1000 * np.exp(step * (mels - linear)))


def _htk_edges(rate: int, n_mels: int) -> Float[Array, "edges"]:
    top = math.log10(1 + rate / 1400)
    return 700 * (10 ** np.linspace(0, top, n_mels + 2) - 1)
