"""The spectral baseline on sounds with tempo, brightness and pitch known in closed form."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError

import numpy as np
import pytest

from timbrec.encoders import load
from timbrec.encoders.spectral import FEATURES, HOP, RATE, Spectral
from timbrec.errors import AudioError, ConfigError

SECONDS = 10


@pytest.fixture(scope="module")
def encoder() -> Spectral:
    pytest.importorskip("librosa")
    return Spectral()


def described(encoder: Spectral, audio: np.ndarray) -> dict[str, tuple[float, float]]:
    """Mean and standard deviation of each feature; the tempo twice."""
    vector = encoder.encode(audio.astype(np.float32)[None])[0]
    means, deviations = vector[:16].tolist(), vector[16:32].tolist()
    names = dict(zip(FEATURES, zip(means, deviations, strict=True), strict=True))
    return names | {"tempo": (float(vector[32]), float(vector[32]))}


def sine(hertz: float) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * hertz * np.arange(SECONDS * RATE) / RATE)


def test_a_tone_has_its_own_frequency_and_pitch_class(encoder: Spectral) -> None:
    """440 Hz is A, the tenth pitch class from C; a sine of f Hz changes sign 2 f times a second.

    A Hann window spreads a tone over two bins on each side.
    """
    tone = described(encoder, sine(440))
    assert tone["centroid"][0] == pytest.approx(440, rel=0.05)
    assert tone["roll-off"][0] == pytest.approx(440, abs=2 * RATE / 2048)
    assert tone["flatness"][0] < 0.01
    assert tone["zero crossings"][0] == pytest.approx(880 / RATE, rel=0.02)
    chroma = [tone[f"chroma {pitch}"][0] for pitch in range(12)]
    assert chroma[9] == pytest.approx(1.0, abs=1e-6)
    assert max(chroma[:8]) < 0.2
    assert tone["chroma 9"][1] < 1e-6


def test_white_noise_is_flat(encoder: Spectral) -> None:
    """Its power is exponentially distributed: geometric mean / mean is exp(-Euler's constant)."""
    noise = described(encoder, np.random.default_rng(0).normal(0, 0.1, SECONDS * RATE))
    assert noise["flatness"][0] == pytest.approx(np.exp(-np.euler_gamma), abs=0.01)
    assert noise["centroid"][0] == pytest.approx(RATE / 4, rel=0.01)
    assert noise["roll-off"][0] == pytest.approx(0.85 * RATE / 2, rel=0.01)
    assert noise["zero crossings"][0] == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("beats", [90, 120, 150])
def test_clicks_have_their_tempo(encoder: Spectral, beats: int) -> None:
    clicks = np.zeros(SECONDS * RATE)
    for start in np.arange(0, SECONDS, 60 / beats):
        at = round(start * RATE)
        clicks[at : at + 200] += np.random.default_rng(1).normal(0, 0.5, len(clicks[at : at + 200]))
    assert described(encoder, clicks)["tempo"][0] == pytest.approx(beats, rel=0.04)


def test_deviations_are_over_time(encoder: Spectral) -> None:
    """Half a window of each tone: the deviation of the centroid is half their distance."""
    halves = np.concatenate([sine(500)[: SECONDS * RATE // 2], sine(2500)[: SECONDS * RATE // 2]])
    centroid, deviation = described(encoder, halves)["centroid"]
    assert centroid == pytest.approx(1500, rel=0.03)
    assert deviation == pytest.approx(1000, rel=0.03)


def test_vector_summarises_the_frames(encoder: Spectral) -> None:
    audio = np.random.default_rng(2).normal(0, 0.1, (2, RATE)).astype(np.float32)
    frames, vectors = encoder.frames(audio), encoder.encode(audio)
    assert frames.shape == (2, 1 + RATE // HOP, 16)
    np.testing.assert_allclose(vectors[:, :16], frames.mean(1), rtol=1e-5)
    np.testing.assert_allclose(vectors[:, 16:32], frames.std(1), rtol=1e-4, atol=1e-6)
    assert encoder.frames(audio[:0]).shape == (0, *frames.shape[1:])


def test_revision_names_the_version_of_librosa(encoder: Spectral) -> None:
    librosa = pytest.importorskip("librosa")
    assert encoder.card.revision == f"spectral33-1, librosa {librosa.__version__}"


def test_unusable_windows_are_refused(encoder: Spectral) -> None:
    with pytest.raises(AudioError, match="511 samples are too short for spectral"):
        encoder.encode(np.zeros((1, 511), np.float32))
    with pytest.raises(AudioError, match="NaN or infinite"):
        encoder.encode(np.full((1, RATE), np.nan, np.float32))


def test_missing_librosa_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr("timbrec.encoders.spectral.version", missing)
    with pytest.raises(ConfigError, match=r"needs the package librosa.*timbrec\[spectral\]"):
        load("spectral")
