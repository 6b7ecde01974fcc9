"""A small synthesiser: renders a dozen factors as a few seconds of chords, bass, lead and drums."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import scipy.fft
from scipy.special import ndtr

from timbrec.files import replacing
from timbrec.types import Array, Float, Float32, Int

RATE = 22_050  # Hz

AUDIBLE = (
    "brightness",  # cutoff of the tone control, depth of the voices' modulation
    "roughness",  # inharmonic modulation and overdrive
    "attack",  # from bowed pads to plucked strings
    "noise",  # level of a bed of breath noise
    "percussion",  # level of the drums, and how many of them play
    "tempo",  # 70 to 170 beats a minute
    "mode",  # from phrygian (dark) to lydian (bright)
    "harmony",  # from bare fifths to ninth chords
    "register",  # two octaves of transposition
    "swing",  # late off-beats, broken kick patterns
    "space",  # amount and length of reverberation
    "loudness",  # -30 to -12 dBFS RMS
)

_MODES = (  # semitones of the seven degrees, dark to bright
    (0, 1, 3, 5, 7, 8, 10),
    (0, 2, 3, 5, 7, 8, 10),
    (0, 2, 3, 5, 7, 9, 10),
    (0, 2, 4, 5, 7, 9, 10),
    (0, 2, 4, 5, 7, 9, 11),
    (0, 2, 4, 6, 7, 9, 11),
)
_CHORDS = ((0, 4), (0, 2, 4), (0, 2, 4, 6), (0, 2, 4, 6, 8))  # degrees above the root, plain to rich
_PROGRESSIONS = ((0, 4, 5, 3), (0, 5, 3, 4), (0, 3, 0, 4), (0, 6, 5, 4), (5, 3, 0, 4), (0, 2, 3, 4))
_KICKS = ("x...x...x...x...", "x.......x.x.....", "x..x..x....x..x.")  # straight to broken, in sixteenths
_SNARE = "....x.......x..."
_HATS = ("....x.......x...", "..x...x...x...x.", "x.x.x.x.x.x.x.x.", "xxxxxxxxxxxxxxxx")  # sparse to dense


def render(factors: Float[Array, "dials"], seconds: int | float, rng: np.random.Generator) -> Float32[Array, "samples"]:
    """A mono clip at RATE: finite, below full scale, without a DC offset; deterministic given factors and generator.

    `factors` are standard normal, in the order of AUDIBLE. The generator draws everything else: key, chord
    progression, motif and noises. `seconds` is at least 1.
    """
    amount = dict(zip(AUDIBLE, ndtr(factors).tolist(), strict=True))
    n = round(seconds * RATE)
    steps = _steps(amount, n)
    music = _drive(_voices(amount, steps, n, rng), 1 + 9 * amount["roughness"] ** 2)
    music += (0.2 * amount["noise"] ** 2) * rng.standard_normal(n, np.float32)
    music += (1.8 * amount["percussion"]) * _drums(amount, steps, n, rng)
    return _master(_tone_and_space(music, amount, rng), -30 + 18 * amount["loudness"])


def write_clip(path: Path, factors: Float[Array, "dials"], seconds: int | float, seed: tuple[int, ...]) -> None:
    """Render a clip and write it as 16-bit FLAC, whole or not at all."""
    clip = render(factors, seconds, np.random.default_rng(seed))
    samples = np.rint(clip * (2**15 - 1)).astype(np.int16)
    with replacing(path) as partial, av.open(str(partial), "w", format="flac") as file:
        stream = file.add_stream("flac", rate=RATE, layout="mono", format="s16")
        frame = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
        frame.rate = RATE
        file.mux([*stream.encode(frame), *stream.encode(None)])


def _steps(amount: dict[str, float], n: int) -> Int[Array, "steps"]:
    """The sample at which each sixteenth note starts; swing delays every second note by up to half its length."""
    sixteenth = 15 / (70 + 100 * amount["tempo"]) * RATE
    grid = np.arange(int(np.ceil(n / sixteenth)) + 1, dtype=np.float64)
    grid[1::2] += 0.5 * amount["swing"]
    return np.rint(grid * sixteenth).astype(np.int64)


def _since(onsets: Int[Array, "notes"], n: int) -> tuple[Int[Array, "n"], Float32[Array, "n"]]:
    """For each sample, the latest onset and the seconds since it; before the first onset, the first and 1,000 s."""
    onsets = onsets[onsets < n]
    note = np.repeat(np.arange(len(onsets)), np.diff(onsets, prepend=0, append=n)[1:])
    note = np.concatenate([np.zeros(onsets[0], np.int64), note])
    seconds = (np.arange(n) - onsets[note]).astype(np.float32) / np.float32(RATE)
    seconds[: onsets[0]] = 1e3
    return note, seconds


def _voices(
    amount: dict[str, float], steps: Int[Array, "steps"], n: int, rng: np.random.Generator
) -> Float32[Array, "n"]:
    """Chords, bass and lead over one progression."""
    scale = np.array(_MODES[int(6 * amount["mode"])])
    key = 48 + rng.integers(12) + round(24 * (amount["register"] - 0.5))
    progression = np.array(_PROGRESSIONS[rng.integers(len(_PROGRESSIONS))])
    motif = rng.choice([-1, 0, 2, 4, 5, 7], size=8)  # one bar of eighths, -1 a rest
    per_chord = 8 if amount["tempo"] < 0.4 else 16  # sixteenths
    root = progression[np.arange(len(steps)) // per_chord % len(progression)]

    def hertz(degree: Int[Array, "tones notes"], octave: int) -> Float[Array, "tones notes"]:
        return 440 * 2 ** ((key + 12 * octave + scale[degree % 7] + 12 * (degree // 7) - 69) / 12)

    eighths = np.resize(motif, len(steps[::2]))
    tones = np.array(_CHORDS[int(4 * amount["harmony"])])[:, None]
    chords = _voice(hertz(root[::per_chord] + tones, 0), steps[::per_chord], n, amount, slow=4.0)
    bass = _voice(hertz(root[None, ::4], -1), steps[::4], n, amount, slow=1.5)
    lead = _voice(hertz(root[None, ::2] + eighths, 1) * (eighths >= 0), steps[::2], n, amount, slow=1.0)
    return 0.35 * chords + 0.9 * bass + 0.6 * lead


def _voice(
    hertz: Float[Array, "tones notes"], onsets: Int[Array, "notes"], n: int, amount: dict[str, float], slow: float
) -> Float32[Array, "n"]:
    """Parallel lines by frequency modulation. A note swells, fades and ends before the next; 0 Hz is a rest."""
    note, t = _since(onsets, n)
    rise, fade = 0.12 * 0.02 ** amount["attack"], slow * 0.5 * 0.15 ** amount["attack"]
    left = np.append(np.diff(onsets), n).astype(np.float32)[note] / np.float32(RATE) - t
    envelope = (1 - np.exp(-t / rise)) * np.exp(-t / fade) * np.minimum(left * 100, 1)
    ratio = 2 + 0.41 * (amount["roughness"] > 0.5)
    bend = (0.2 + 1.5 * amount["brightness"] + 2.0 * amount["roughness"]) * envelope
    mix = np.zeros(n, np.float32)
    for radians in (2 * np.pi * hertz).astype(np.float32):
        phase = radians[note] * t
        mix += np.sin(phase + bend * np.sin(ratio * phase))
    return mix * envelope


def _drums(
    amount: dict[str, float], steps: Int[Array, "steps"], n: int, rng: np.random.Generator
) -> Float32[Array, "n"]:
    """Kick (a falling sine), snare (a noise burst over a sine) and hats (short high noise) in one-bar patterns."""
    t = np.arange(int(0.3 * RATE), dtype=np.float32) / RATE
    hiss = rng.standard_normal(len(t), np.float32)
    kick = np.sin(2 * np.pi * (48 * t + 4.5 * (1 - np.exp(-t / 0.03)))) * np.exp(-t / 0.1)
    snare = (0.35 * hiss + 0.4 * np.sin(2 * np.pi * 185 * t)) * np.exp(-t / 0.06)
    hat = 0.2 * np.diff(hiss, append=np.float32(0)) * np.exp(-t / 0.02)
    busy = amount["percussion"]
    parts = [(kick, _KICKS[int(3 * amount["swing"])]), (hat, _HATS[int(4 * busy)])]
    parts += [(snare, _SNARE)] if busy > 0.35 else []
    mix = np.zeros(n, np.float32)
    for shot, pattern in parts:
        onsets = steps[np.resize(np.array(list(pattern)) == "x", len(steps))]
        at = np.minimum(_since(onsets, n)[1] * RATE + 0.5, len(shot)).astype(np.int64)
        mix += np.append(shot, 0).astype(np.float32)[at]
    return mix


def _tone_and_space(
    music: Float32[Array, "n"], amount: dict[str, float], rng: np.random.Generator
) -> Float32[Array, "n"]:
    """Tone control, reverberation and a high-pass at 30 Hz, in one pass through the frequency domain."""
    n = len(music)
    length = int(RATE * (0.1 + 0.7 * amount["space"]))
    room = rng.standard_normal(length, np.float32) * np.exp(np.linspace(0, -7, length, dtype=np.float32))
    size = scipy.fft.next_fast_len(n + length, real=True)
    hertz = np.fft.rfftfreq(size, 1 / RATE).astype(np.float32)
    cutoff = 500 * 16 ** amount["brightness"]
    shape = (hertz > 30) / np.sqrt(1 + (hertz / np.float32(cutoff)) ** 3)
    wet = np.float32(0.6 * amount["space"] / np.sqrt(np.sum(room**2)))
    response = shape * (1 + wet * scipy.fft.rfft(room, size))
    return scipy.fft.irfft(scipy.fft.rfft(music, size) * response, size)[:n]


def _drive(signal: Float32[Array, "n"], gain: int | float) -> Float32[Array, "n"]:
    """Overdrive: a soft clip that grows with the level."""
    return np.tanh(np.float32(gain) * signal) / np.float32(np.sqrt(gain))


def _master(signal: Float32[Array, "n"], dbfs: int | float) -> Float32[Array, "n"]:
    """Limit the peaks, fade the ends and scale the RMS to `dbfs`, or less where the peak would exceed 0.98."""
    limited = np.tanh(signal / np.float32(3 * np.sqrt(np.mean(signal**2)) + 1e-9))
    edge = min(len(limited) // 2, RATE // 100)
    limited[:edge] *= np.linspace(0, 1, edge, dtype=np.float32)
    limited[len(limited) - edge :] *= np.linspace(1, 0, edge, dtype=np.float32)
    limited -= limited.mean()
    gain = min(10 ** (dbfs / 20) / np.sqrt(np.mean(limited**2)), 0.98 / np.abs(limited).max())
    return limited * np.float32(gain)
