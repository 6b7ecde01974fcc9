"""MFCC: the hand-crafted baseline without weights, computed in torch."""

from __future__ import annotations

import math
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from timbrec.encoders.shared import bibliography
from timbrec.encoders.signals.mel import mel_bands, mel_power
from timbrec.encoders.signals.windows import batches, mono
from timbrec.errors import AudioError, ConfigError
from timbrec.protocols import EncoderCard
from timbrec.types import Array, Float, Float32

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch

RATE, N_FFT, HOP, N_MELS, N_MFCC = 22_050, 2048, 512, 128, 13
FLOOR, TOP_DB = 1e-10, 80.0
AT_ONCE = 1 << 20  # samples


class MFCC:
    """104 values: mean and covariance of 13 mel-frequency cepstral coefficients (not Music4All-Onion's numbers).

    Frames of 2,048 samples every 512 (Hann, zeros around the window), 128 Slaney mel bands, decibels cut 80 below the
    window's loudest, orthonormal DCT-II. A window gives the 13 means, then the 91 covariances of the upper triangle
    row by row, divided by frames - 1. Covariances are much larger than means: standardise before taking cosines.
    """

    card = EncoderCard(
        name="mfcc",
        revision="mfcc104-1",
        rate=RATE,
        window=30.0,
        dim=N_MFCC + N_MFCC * (N_MFCC + 1) // 2,
        frames_per_second=RATE / HOP,
        layers=0,
        parameters=0,
        licence_code="Apache-2.0",
        licence_weights="no weights",
        commercial=True,
        trained_on="nothing",
        citation="Davis & Mermelstein, Comparison of parametric representations for monosyllabic word recognition, "
        "IEEE TASSP 28(4), 1980",
        bibtex=bibliography.MFCC,
        gflop=0.5,
        concurrent=True,
    )

    def __init__(self, device: str = "cpu") -> None:
        self.device = device

    def encode(self, windows: Float32[Array, "n samples"]) -> Float32[Array, "n 104"]:
        """Means and covariances over the frames. Raises AudioError for windows under 512 samples (one frame)."""
        if mono(windows).shape[1] < HOP:
            raise AudioError(
                f"{windows.shape[1]:,} samples are too short for a covariance",
                fix=f"At least {HOP:,} at {RATE:,} Hz are needed.",
            )
        parts = [self._statistics(audio) for audio in self._batches(windows)]
        return np.concatenate(parts) if parts else np.empty((0, self.card.dim), np.float32)

    def frames(self, windows: Float32[Array, "n samples"], layer: int | None = None) -> Float32[Array, "n time 13"]:
        """The coefficients of each frame: 1 + samples // 512 of them. There are no layers: ConfigError."""
        if layer is not None:
            raise ConfigError("mfcc has no layers", example=layer, fix="Leave `layer` out.")
        parts = [self._frames(audio).float().cpu().numpy() for audio in self._batches(windows)]
        return np.concatenate(parts) if parts else np.empty((0, 1 + windows.shape[1] // HOP, N_MFCC), np.float32)

    def _batches(self, windows: Float32[Array, "n samples"]) -> Iterator[torch.Tensor]:
        """A few windows at a time: spectra that exceed a processor's cache make a batch slower than single windows."""
        return batches(mono(windows), AT_ONCE // max(1, windows.shape[1]), self.device)

    def _statistics(self, audio: torch.Tensor) -> Float32[Array, "n 104"]:
        frames = self._frames(audio)
        mean = frames.mean(dim=1)
        centred = frames - mean[:, None]
        covariance = centred.mT @ centred / (frames.shape[1] - 1)
        rows, columns = np.triu_indices(N_MFCC)
        return np.concatenate([mean.cpu(), covariance.cpu()[:, rows, columns]], axis=1, dtype=np.float32)

    def _frames(self, audio: torch.Tensor) -> torch.Tensor:
        """(n, time, 13) float64: in float32 a covariance near zero would lose its fourth digit to the cosine sums."""
        bands, cosines = self._matrices
        power = mel_power(audio, bands, HOP, pad_mode="constant").double()
        decibels = 10 * power.clamp(min=FLOOR).log10()
        decibels = decibels.maximum(decibels.amax(dim=(1, 2), keepdim=True) - TOP_DB)
        return (cosines @ decibels).mT

    @cached_property
    def _matrices(self) -> tuple[torch.Tensor, torch.Tensor]:
        """(bands, bins) float32 and (coefficients, bands) float64."""
        import torch

        bands, cosines = torch.from_numpy(mel_bands(RATE, N_FFT, N_MELS)), torch.from_numpy(dct(N_MFCC, N_MELS))
        return bands.float().to(self.device), cosines.to(self.device)


def dct(rows: int, columns: int) -> Float[Array, "rows columns"]:
    """The first rows of the orthonormal DCT-II."""
    k, n = np.arange(rows)[:, None], np.arange(columns)
    matrix = np.sqrt(2 / columns) * np.cos(np.pi / columns * (n + 0.5) * k)
    matrix[0] /= math.sqrt(2)
    return matrix
