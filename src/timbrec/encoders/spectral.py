"""Spectral: tempo, brightness, noisiness and harmony of a window, a baseline without training, computed by librosa."""

from __future__ import annotations

from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from timbrec.encoders.shared import bibliography
from timbrec.encoders.signals.windows import mono
from timbrec.errors import AudioError, ConfigError
from timbrec.protocols import EncoderCard
from timbrec.types import Array, Float32

RATE, N_FFT, HOP = 22_050, 2048, 512
FEATURES = ("centroid", "roll-off", "flatness", "zero crossings", *(f"chroma {pitch}" for pitch in range(12)))


class Spectral:
    """33 values: means of 16 features of the frames in the order of `FEATURES`, their standard deviations, and tempo.

    Frames of 2,048 samples every 512 (Hann, zeros around the window). The features: spectral centroid and the frequency
    below which 85 % of the magnitude lies, in Hz; flatness, 0 for a tone and about .56 for white noise; sign changes
    per sample; the power of the 12 pitch classes from C to B, divided by the largest (Ellis 2007; A4 is 440 Hz). Tempo
    is in beats per minute, from the autocorrelation of onset strength. Units differ: standardise before taking cosines.
    """

    card = EncoderCard(
        name="spectral",
        revision="spectral33-1",
        rate=RATE,
        window=30.0,
        dim=1 + 2 * len(FEATURES),
        frames_per_second=RATE / HOP,
        licence_code="ISC (librosa)",
        licence_weights="no weights",
        commercial=True,
        trained_on="nothing",
        citation="McFee et al., librosa: audio and music signal analysis in Python, SciPy 2015",
        bibtex=bibliography.LIBROSA,
        gflop=0.5,
        concurrent=True,
    )

    def __init__(self) -> None:
        try:
            installed = version("librosa")
        except PackageNotFoundError as error:
            raise ConfigError("spectral needs the package librosa, which is not installed",
                              fix="Run `pip install 'timbrec[spectral]'`.") from error  # fmt: skip
        self.card = self.card.loaded(f"librosa {installed}")

    def encode(self, windows: Float32[Array, "n samples"]) -> Float32[Array, "n 33"]:
        """Means and deviations over the frames, and tempo.

        Raises AudioError for windows under 512 samples (one frame) and for samples that are NaN or infinite.
        """
        vectors = [self._vector(window) for window in _checked(windows)]
        return np.array(vectors, np.float32).reshape(len(windows), self.card.dim)

    def frames(self, windows: Float32[Array, "n samples"], layer: int | None = None) -> Float32[Array, "n time 16"]:
        """The features of each frame: 1 + samples // 512 of them. There are no layers: ConfigError."""
        if layer is not None:
            raise ConfigError("spectral has no layers", example=layer, fix="Leave `layer` out.")
        frames = [self._features(window, self._spectrum(window)) for window in _checked(windows)]
        shape = (len(windows), 1 + windows.shape[1] // HOP, len(FEATURES))
        return np.array(frames, np.float32).reshape(shape)

    @cached_property
    def _librosa(self) -> Any:
        import librosa  # here, because its import takes seconds

        return librosa

    @cached_property
    def _mel(self) -> Any:
        return self._librosa.filters.mel(sr=RATE, n_fft=N_FFT)  # designed once, not at every call as by librosa

    @cached_property
    def _chroma(self) -> Any:
        return self._librosa.filters.chroma(sr=RATE, n_fft=N_FFT, tuning=0.0)

    def _vector(self, window: Float32[Array, "samples"]) -> Float32[Array, "33"]:
        spectrum = self._spectrum(window)
        features = self._features(window, spectrum)
        return np.concatenate([features.mean(0), features.std(0), [self._tempo(spectrum)]]).astype(np.float32)

    def _spectrum(self, window: Float32[Array, "samples"]) -> Any:
        """(1025, time) magnitudes."""
        padded = np.pad(window, N_FFT // 2)
        return np.abs(self._librosa.stft(padded, n_fft=N_FFT, hop_length=HOP, center=False))

    def _features(self, window: Float32[Array, "samples"], spectrum: Any) -> Any:
        """(time, 16): the features of each frame."""
        feature = self._librosa.feature
        rows = (
            feature.spectral_centroid(S=spectrum, sr=RATE),
            feature.spectral_rolloff(S=spectrum, sr=RATE),
            feature.spectral_flatness(S=spectrum),
            feature.zero_crossing_rate(window, frame_length=N_FFT, hop_length=HOP),
            self._librosa.util.normalize(
                np.einsum("cf,ft->ct", self._chroma, spectrum**2, optimize=True), norm=np.inf, axis=-2
            ),
        )
        return np.concatenate(rows).T.astype(np.float64)

    def _tempo(self, spectrum: Any) -> float:
        """Beats per minute. Without onsets, the most likely tempo before listening: 117.5."""
        librosa = self._librosa
        decibels = librosa.power_to_db(np.einsum("ft,mf->mt", spectrum**2, self._mel, optimize=True))
        onsets = librosa.onset.onset_strength(S=decibels, sr=RATE, hop_length=HOP)
        return float(librosa.feature.tempo(onset_envelope=onsets, sr=RATE, hop_length=HOP)[0])


def _checked(windows: Float32[Array, "n samples"]) -> Float32[Array, "n samples"]:
    """The windows, checked for form, length and finite samples."""
    if mono(windows).shape[1] < HOP:
        raise AudioError(
            f"{windows.shape[1]:,} samples are too short for spectral",
            fix=f"At least {HOP:,} at {RATE:,} Hz are needed.",
        )
    if not np.isfinite(windows).all():  # librosa has an error of its own, without the reason
        raise AudioError("some samples are NaN or infinite")
    return windows
