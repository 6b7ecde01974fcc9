"""The contract of encoders: the checks of `timbrec check-encoder` and of the tests of every encoder."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from timbrec.audit.finding import Finding
from timbrec.errors import AudioError, ConfigError, TimbrecError
from timbrec.protocols import DeviceEncoder, Encoder, FrameEncoder
from timbrec.types import Array, Float, Float32, Progress

SECONDS = 5.0  # of a window; shorter where the card's are
SAME, EQUAL, PARTS = 1e-6, 1e-5, 1e-4  # largest differences by the largest value: run again, batched, pooled
RECORDED, RATES, ALIKE = 48_000, (44_100, 96_000), 0.99  # Hz; cosine
GROWTH = 0.25  # largest change of a vector's length, along itself, for a sound played twice; a sum doubles
FASTEST = 2.0  # times the measured speed of matrix products


@dataclass(frozen=True, eq=False)
class Examined:
    """An encoder and its test sounds."""

    encoder: Encoder
    seconds: float

    @property
    def rate(self) -> int:
        """The sample rate of the windows in Hz."""
        return self.encoder.card.rate

    @cached_property
    def batch(self) -> Float32[Array, "3 samples"]:
        """Three windows of different notes, loudness and noise."""
        return self.sounds(3)

    @cached_property
    def vectors(self) -> Float32[Array, "3 dim"]:
        """The encoder's vectors of the batch."""
        return self.encode(self.batch)

    def encode(self, windows: Array) -> Array:
        """The encoder's vectors of a copy of these windows."""
        return np.asarray(self.encoder.encode(windows.copy()))

    def sounds(self, n: int, rate: int | None = None) -> Float32[Array, "n samples"]:
        """(n, samples) sounds of three notes below 3/8 of the card's rate, with noise; by default at that rate."""
        rng, hz = np.random.default_rng(0), rate or self.rate
        at = np.arange(round(self.seconds * hz)) / hz
        pitch = rng.uniform(0.01, 0.375, (n, 3, 1)) * self.rate
        beats = 1 + 0.5 * np.sin(2 * np.pi * rng.uniform(1, 4, (n, 3, 1)) * at)
        notes = (np.sin(2 * np.pi * pitch * at) * beats).sum(1) * rng.uniform(0.02, 0.15, (n, 1))
        return (notes + 0.02 * rng.normal(size=notes.shape)).astype(np.float32)


def check_encoder(encoder: Encoder, seconds: float | None = None, progress: Progress | None = None) -> list[Finding]:
    """Findings about the encoder, in the order of CHECKS, on windows of `seconds`.

    Raises ConfigError for precomputed vectors, which have no encoder to check.
    """
    card = encoder.card
    if card.precomputed:
        raise ConfigError(f"{card.name} holds precomputed vectors; there is no encoder to check")
    examined, findings = Examined(encoder, seconds or min(SECONDS, card.window)), []
    for done, (name, check) in enumerate(CHECKS.items()):
        if progress:
            progress(f"checking {card.name}: {name}", done, len(CHECKS))
        findings.append(replace(_finding(check, examined), name=name))
    if progress:
        progress(f"checking {card.name}", len(CHECKS), len(CHECKS))
    return findings


def _finding(check: Callable[[Examined], Finding], examined: Examined) -> Finding:
    try:
        return check(examined)
    except Exception as error:  # noqa: BLE001 - an encoder may raise anything
        reason = str(error).strip().partition("\n")[0]
        return Finding(False, f"raises {type(error).__name__}: {reason}", "no exception")


def _shape(examined: Examined) -> Finding:
    """Vectors are float32 of shape (n, dim) for three windows, one and none."""
    dim, wrong = examined.encoder.card.dim, []
    for n in (3, 1, 0):
        vectors = examined.vectors if n == 3 else examined.encode(examined.batch[:n])
        if vectors.shape != (n, dim) or vectors.dtype != np.float32:
            wrong.append(f"{vectors.dtype} {vectors.shape} of {n} windows")
    return Finding(not wrong, "; ".join(wrong) or f"float32 (n, {dim})", f"float32 (n, {dim})")


def _finite(examined: Examined) -> Finding:
    """Vectors of ordinary sounds are finite, and differ between sounds."""
    finite = bool(np.isfinite(examined.vectors).all())
    apart = finite and _relative(examined.vectors[1:], examined.vectors[:-1]) > SAME
    figure = "not finite" if not finite else "different" if apart else "the same vector for different sounds"
    return Finding(apart, figure, "finite, and different for different sounds")


def _determinism(examined: Examined) -> Finding:
    return _at_most(_relative(examined.encode(examined.batch), examined.vectors), SAME, "when run again")


def _batch(examined: Examined) -> Finding:
    alone = np.concatenate([examined.encode(window[None]) for window in examined.batch])
    return _at_most(_relative(alone, examined.vectors), EQUAL, "alone and in a batch of 3")


def _order(examined: Examined) -> Finding:
    order = [2, 0, 1]
    off = _relative(examined.encode(examined.batch[order]), examined.vectors[order])
    return _at_most(off, EQUAL, "in another order")


def _input(examined: Examined) -> Finding:
    given = examined.batch.copy()
    examined.encoder.encode(given)
    changed = int((given != examined.batch).sum())
    return Finding(not changed, f"{changed:,} samples changed", "0 samples changed")


def _silence(examined: Examined) -> Finding:
    return _finite_of(examined, np.zeros_like(examined.batch[:2]), "silence")


def _loud(examined: Examined) -> Finding:
    return _finite_of(examined, examined.batch[:2] * np.float32(1000), "sound 1,000 times too loud")


def _short(examined: Examined) -> Finding:
    """Very short windows give a finite vector or an AudioError."""
    results, expected = [], "a finite vector or an AudioError"
    for samples in (0, 1, 100, examined.rate // 10):
        try:
            vectors = examined.encode(examined.batch[:2, :samples])
        except AudioError:
            results.append(f"{samples:,} refused")
            continue
        if vectors.shape != (2, examined.encoder.card.dim) or not np.isfinite(vectors).all():
            return Finding(False, f"{vectors.shape} of {samples:,} samples, or not finite", expected)
        results.append(f"{samples:,} encoded")
    return Finding(True, ", ".join(results), expected, "samples")


def _nan(examined: Examined) -> Finding:
    """NaN or infinity in a window is refused, or makes the vector of this window alone not finite."""
    expected, results = "refused, or not finite in that vector alone", []
    for value in (np.nan, np.inf):
        windows = examined.batch[:2].copy()
        windows[1, windows.shape[1] // 2] = value
        try:
            vectors = examined.encode(windows)
        except AudioError:
            results.append(f"{value} refused")
            continue
        if np.isfinite(vectors[1]).all():
            return Finding(False, f"a plausible vector of a window with {value}", expected)
        if not np.isfinite(vectors[0]).all():
            return Finding(False, f"{value} in one window spreads to another's vector", expected)
        results.append(f"{value} passed on")
    return Finding(True, ", ".join(results), expected)


def _mono(examined: Examined) -> Finding:
    """Arrays of another rank are refused. Channels read as something else would give plausible vectors."""
    expected = "refused"
    for shape in ("(n, 2, samples)", "(samples,)"):
        stereo = np.stack([examined.batch[:2]] * 2, axis=1)
        try:
            examined.encode(stereo if shape == "(n, 2, samples)" else examined.batch[0])
        except Exception:  # noqa: BLE001 - any refusal will do
            continue
        return Finding(False, f"a vector of an array {shape}", expected)
    return Finding(True, "refused", expected, "arrays (n, 2, samples) and (samples,)")


def _rates(examined: Examined) -> Finding:
    """A recording stored at other rates and resampled to the card's rate gives nearly the same vector."""
    import soxr

    def resampled(via: int) -> Array:
        signals = (soxr.resample(soxr.resample(sound, RECORDED, via), via, examined.rate) for sound in recordings)
        return np.stack([signal[: examined.batch.shape[1]] for signal in signals])

    recordings = examined.sounds(2, rate=RECORDED)
    direct, *others = (examined.encode(resampled(via)) for via in (RECORDED, *RATES))
    alike = [_cosine(a, b) for vectors in others for a, b in zip(direct, vectors, strict=True)]
    return Finding(min(alike) >= ALIKE, f"cosine {min(alike):.4f}", f"at least {ALIKE}", f"by way of {RATES} Hz")


def _length(examined: Examined) -> Finding:
    """A sound played twice has nearly the vector of the sound: a mean over time, not a sum."""
    once = examined.batch[:2]
    twice = examined.encode(np.concatenate([once, once], axis=1)).astype(np.float64)
    vectors = examined.vectors[:2].astype(np.float64)
    growth = float(np.abs((twice * vectors).sum(1) / (vectors**2).sum(1) - 1).max())
    return Finding(growth <= GROWTH, f"{growth:.2f} longer or shorter", f"at most {GROWTH}", "played twice; 1 is a sum")


def _frames(examined: Examined) -> Finding:
    """The mean of `frames` over time equals `encode`, and the number of frames is the card's."""
    card = examined.encoder.card
    if not isinstance(examined.encoder, FrameEncoder):
        return Finding(True, "it has none", "–")
    frames = np.asarray(examined.encoder.frames(examined.batch.copy()))
    expected = examined.seconds * card.frames_per_second
    if frames.ndim != 3 or frames.shape[2] > card.dim or (expected and abs(frames.shape[1] - expected) > 2):
        return Finding(False, f"{frames.shape}", f"(3, about {expected:.0f}, at most {card.dim})", card.time)
    off = _relative(frames.mean(1, dtype=np.float64), examined.vectors[:, : frames.shape[2]])
    return _at_most(off, PARTS, f"between `encode` and the mean of {frames.shape[1]:,} {card.time}")


def _throughput(examined: Examined) -> Finding:
    """Seconds of audio encoded per second. Refused if the card's cost cannot be computed in that time."""
    card = examined.encoder.card
    seconds = min(_timed(lambda: examined.encode(examined.batch)) for _ in range(2))
    audio = len(examined.batch) * examined.seconds
    figure = f"{audio / seconds:,.1f} s of audio per second"
    if not card.gflop:
        return Finding(True, figure, "–", "the card states no cost")
    speed, most = card.gflop * audio / card.window / seconds, FASTEST * _products(examined.encoder)
    expected = f"at most {most:,.0f} GFLOP/s"
    return Finding(speed <= most, f"{figure}, {speed:,.1f} GFLOP/s", expected, "by the card's cost")


CHECKS: dict[str, Callable[[Examined], Finding]] = {
    "shape": _shape,
    "finite": _finite,
    "determinism": _determinism,
    "batch": _batch,
    "order": _order,
    "input unchanged": _input,
    "silence": _silence,
    "very short": _short,
    "very loud": _loud,
    "NaN": _nan,
    "mono": _mono,
    "rates": _rates,
    "length": _length,
    "frames": _frames,
    "throughput": _throughput,
}


def _finite_of(examined: Examined, windows: Array, what: str) -> Finding:
    try:
        vectors = examined.encode(windows)
    except TimbrecError as error:
        return Finding(False, f"refused: {error}", f"finite vectors of {what}")
    wrong = int((~np.isfinite(vectors)).sum())
    return Finding(not wrong, f"{wrong:,} values not finite", "0", what)


def _at_most(off: float, most: float, detail: str) -> Finding:
    return Finding(off <= most, f"differs by {off:.1e}", f"at most {most:.0e}", detail)


def _relative(values: Float[Array, "..."], expected: Float[Array, "..."]) -> float:
    """The largest difference divided by the largest value; infinite for other shapes and values that are not finite."""
    if values.shape != expected.shape or not (np.isfinite(values).all() and np.isfinite(expected).all()):
        return np.inf
    return float(np.abs(values - expected).max() / max(np.abs(expected).max(), np.finfo(np.float32).tiny))


def _cosine(a: Float[Array, "dim"], b: Float[Array, "dim"]) -> float:
    a, b = a.astype(np.float64), b.astype(np.float64)
    return float(a @ b / max(np.linalg.norm(a) * np.linalg.norm(b), np.finfo(np.float64).tiny))


def _products(encoder: Encoder) -> float:
    """GFLOP/s of float32 matrix products on the encoder's device."""
    import torch

    matrix = torch.ones(768, 768, device=encoder.device if isinstance(encoder, DeviceEncoder) else "cpu")

    def multiply() -> None:
        (matrix @ matrix).sum().item()

    return 2 * 0.768**3 / min(_timed(multiply) for _ in range(5))


def _timed(run: Callable[[], Any]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def failed(findings: Iterable[Finding]) -> list[str]:
    """The names of the checks that failed."""
    return [finding.name for finding in findings if not finding.passed]
