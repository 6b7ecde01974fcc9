"""Audio files made for the tests: WAV byte by byte, without FFmpeg; the other kinds by FFmpeg's encoders."""

from __future__ import annotations

import struct
from pathlib import Path

import av
import numpy as np

ENCODERS = {  # suffix -> codec, its options, channels it can take
    ".flac": ("flac", {}),
    ".mp3": ("libmp3lame", {"b": "192k"}),
    ".ogg": ("vorbis", {"strict": "experimental", "b": "192k"}),
    ".opus": ("libopus", {"b": "192k"}),
    ".m4a": ("aac", {"b": "192k"}),
    ".aac": ("aac", {"b": "192k"}),
    ".aiff": ("pcm_s16be", {}),
    ".aifc": ("pcm_s16be", {}),
    ".mp2": ("mp2", {"b": "192k"}),
    ".m4b": ("aac", {"b": "192k"}),
    ".wma": ("wmav2", {"b": "192k"}),
    ".mka": ("aac", {"b": "192k"}),
    ".webm": ("libopus", {"b": "192k"}),
    ".wv": ("wavpack", {}),
    ".tta": ("tta", {}),
    ".au": ("pcm_s16be", {}),
    ".caf": ("pcm_s16be", {}),
    ".w64": ("pcm_s16le", {}),
}
CONTAINERS = {".mp2": "mp2", ".m4b": "ipod", ".aifc": "aiff"}  # FFmpeg's muxers of suffixes that it does not know
LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1", 8: "7.1"}


def sine(frequency: float, rate: int, seconds: float, amplitudes: tuple[float, ...] = (0.5,)) -> np.ndarray:
    """(channels, samples) float64, all channels in phase."""
    wave = np.sin(2 * np.pi * frequency * np.arange(round(rate * seconds)) / rate)
    return np.asarray(amplitudes)[:, None] * wave


def write_wav(path: Path, samples: np.ndarray, rate: int, kind: str = "s16") -> Path:
    """(channels, samples) as RIFF/WAVE with 8, 16, 24 or 32 bit whole numbers, or 32 or 64 bit floats."""
    flat = np.atleast_2d(samples).T.ravel()
    bits = int(kind[1:])
    if kind[0] == "f":
        data = flat.astype(f"<f{bits // 8}").tobytes()
    elif bits == 8:
        data = np.rint(flat * 127 + 128).astype(np.uint8).tobytes()
    else:
        whole = np.rint(flat * (2 ** (bits - 1) - 1)).astype("<i4")
        data = whole.view(np.uint8).reshape(-1, 4)[:, : bits // 8].tobytes()
    channels = len(np.atleast_2d(samples))
    frame = channels * bits // 8
    form = struct.pack("<HHIIHH", 3 if kind[0] == "f" else 1, channels, rate, rate * frame, frame, bits)
    body = b"WAVEfmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", len(data)) + data
    path.write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)
    return path


def write(path: Path, samples: np.ndarray, rate: int, **container: str) -> Path:
    """(channels, samples) in the kind the suffix says; `container` are options of FFmpeg's muxer."""
    if path.suffix == ".wav":
        return write_wav(path, samples, rate)
    codec, options = ENCODERS[path.suffix]
    samples = np.atleast_2d(samples).astype(np.float32)
    layout = LAYOUTS[len(samples)]
    frame = av.AudioFrame.from_ndarray(samples.T.reshape(1, -1), format="flt", layout=layout)
    frame.rate = rate
    with av.open(str(path), "w", format=CONTAINERS.get(path.suffix), options=container) as file:
        stream = file.add_stream(codec, rate=rate, options=options, layout=layout)
        for packet in (*stream.encode(frame), *stream.encode(None)):  # type: ignore[arg-type, union-attr]
            file.mux(packet)
    return path


def loudest(samples: np.ndarray, rate: int) -> tuple[float, float]:
    """Frequency (Hz) and amplitude of the strongest sine in the middle half second, from its spectrum."""
    size = rate // 2
    middle = samples[(len(samples) - size) // 2 :][:size].astype(np.float64)
    window = np.hanning(size)
    spectrum = np.abs(np.fft.rfft(middle * window, 8 * size)) * 2 / window.sum()
    peak = int(spectrum.argmax())
    return peak * rate / (8 * size), float(spectrum[peak])
