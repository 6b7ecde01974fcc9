"""Decoding: a small file of known samples against its definition, through the reader of a run."""

from __future__ import annotations

import wave
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from timbrec.audio import Clip, Windows, read_windows
from timbrec.audit.finding import Finding
from timbrec.audit.trial import Trial
from timbrec.errors import TimbrecError
from timbrec.types import Array, Float

_RATE, _TO, _LENGTH, _TONE = 22_050, 16_000, 11_025, 1_000.0  # Hz, Hz, samples of a window, Hz
_LEVELS = (0.1, 0.2, 0.3, 0.0, 0.4, 0.5, 0.6, 0.7)  # of the windows of half a second; one is silent
_SILENT, _TAIL = _LEVELS.index(0.0), 4_000  # samples behind the last whole window


def sound_by_definition(trial: Trial) -> Finding:
    """Decode a stereo file: the mean of its channels, its windows by every policy, and a tone at another rate.

    Window i has level i. The left channel holds 1.5 and the right one 0.5 of it. The silent window must be skipped, and
    the remainder at the end left out.
    """
    levels = np.repeat(_LEVELS, _LENGTH)
    levels = np.concatenate([levels, np.full(_TAIL, 0.05)])
    noise = np.where(np.arange(len(levels)) % 2, 1.0, -1.0)  # no constant, whatever the level
    tone = 0.5 * np.sin(2 * np.pi * _TONE * np.arange(len(levels)) / _RATE)
    expected = {
        "all": [0, 1, 2, 4, 5, 6, 7], "first": [0], "centre": [4], "spread": [0, 2, 5, 7],
    }  # fmt: skip
    faults = []
    with TemporaryDirectory() as folder:
        path = _write(Path(folder) / "levels.wav", np.stack([1.4 * levels * noise, 0.6 * levels * noise]))
        for policy, places in expected.items():
            found = _levels(path, Windows(policy, 4))
            if found.shape != (len(places),) or np.abs(found - np.array(_LEVELS)[places]).max() > 1e-3:
                faults.append(f"{policy} windows hold {np.round(found, 3).tolist()}")
        path = _write(Path(folder) / "tone.wav", np.stack([tone, tone]))
        if fault := _tone_fault(path):
            faults.append(fault)
    return Finding(not faults, f"{len(faults)} faults", "none", "; ".join(faults))


def _levels(path: Path, windows: Windows) -> Float[Array, "n"]:
    """The level of each window; NaN if levels vary within one."""
    try:
        clip: Clip = read_windows(path, _RATE, _LENGTH / _RATE, windows)
    except TimbrecError:
        return np.empty(0)
    sound = np.abs(np.array(clip.windows, np.float64))
    return np.where(np.ptp(sound, axis=1) < 1e-3, sound.mean(1), np.nan)


def _tone_fault(path: Path) -> str:
    """The fault of a tone of 1,000 Hz and amplitude 0.5 after resampling; "" if there is none."""
    try:
        sound = np.array(read_windows(path, _TO, 1.0, Windows("first")).windows[0], np.float64)
    except TimbrecError as error:
        return str(error)
    middle = sound[_TO // 4 : -_TO // 4]
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle)))) * 4 / len(middle)
    pitch = spectrum.argmax() * _TO / len(middle)
    right = len(sound) == _TO and abs(pitch - _TONE) < 4 and abs(spectrum.max() - 0.5) < 0.02
    return "" if right else f"a tone of 1,000 Hz became {pitch:.0f} Hz at {spectrum.max():.2f} instead of 0.50"


def _write(path: Path, samples: Float[Array, "channels n"]) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(len(samples))
        file.setsampwidth(2)
        file.setframerate(_RATE)
        file.writeframes(np.rint(samples.T * 32_767).astype("<i2").tobytes())
    return path
