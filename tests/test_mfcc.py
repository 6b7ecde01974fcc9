from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from timbrec import catalog
from timbrec.encoders import load
from timbrec.encoders.mfcc import MFCC, dct
from timbrec.encoders.signals.mel import mel_bands
from timbrec.errors import AudioError, ConfigError
from timbrec.protocols import Encoder, EncoderCard


@pytest.fixture(scope="module")
def expected() -> dict[str, np.ndarray]:
    """Six seconds of sound with a digital silence, and the results of librosa 0.11.0 and numpy.cov."""
    return dict(np.load(Path(__file__).parent / "data/mfcc.npz", allow_pickle=False))


def windows(n: int, samples: int, seed: int = 0) -> np.ndarray:
    """Noise of varying colour and loudness, between windows and within them."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(n, samples)).cumsum(axis=1) * 0.01 + rng.normal(size=(n, samples))
    return (noise * np.linspace(0.01, 0.3, samples) * rng.uniform(0.1, 1, (n, 1))).astype(np.float32)


def test_the_mel_bands_are_librosas(expected: dict[str, np.ndarray]) -> None:
    np.testing.assert_allclose(mel_bands(22_050, 2048, 128), expected["mel_bands"], atol=1e-8)


def test_the_dct_is_scipys() -> None:
    import scipy.fft

    signal = np.random.default_rng(0).normal(size=128)
    np.testing.assert_allclose(dct(13, 128) @ signal, scipy.fft.dct(signal, norm="ortho")[:13], atol=1e-12)


def test_the_coefficients_are_librosas(expected: dict[str, np.ndarray]) -> None:
    frames = MFCC().frames(expected["input"][None])
    assert frames.dtype == np.float32
    np.testing.assert_allclose(frames[0].T, expected["mfcc13"], atol=1e-3)


def test_the_statistics_are_numpys(expected: dict[str, np.ndarray]) -> None:
    """A covariance by the deviations of its two: one near zero is a small difference of large numbers."""
    vectors, expected_stats = MFCC().encode(expected["input"][None]), expected["stats"]
    assert vectors.dtype == np.float32
    rows, columns = np.triu_indices(13)
    deviations = np.sqrt(expected_stats[13:][rows == columns])
    scales = np.concatenate([np.abs(expected_stats[:13]), deviations[rows] * deviations[columns]])
    np.testing.assert_allclose(vectors[0] / scales, expected_stats / scales, atol=2e-6, rtol=0)


def test_each_window_is_cut_below_its_own_loudest(expected: dict[str, np.ndarray]) -> None:
    """A window ten thousand times as loud beside it would otherwise lift every quiet band of this one."""
    quiet = expected["input"][None]
    frames = MFCC().frames(np.concatenate([quiet, 1e4 * quiet]))
    np.testing.assert_allclose(frames[0].T, expected["mfcc13"], atol=1e-3)
    np.testing.assert_allclose(frames[1].T[1:], expected["mfcc13"][1:], atol=1.0)  # loudness is the first alone


@pytest.mark.parametrize(("n", "samples"), [(7, 22_050), (3, 22_050 * 30), (40, 44_100)])
def test_a_window_has_the_same_vector_alone_and_in_a_batch(n: int, samples: int) -> None:
    batch, encoder = windows(n, samples), MFCC()
    alone = np.concatenate([encoder.encode(window[None]) for window in batch])
    error = np.linalg.norm(encoder.encode(batch) - alone, axis=1) / np.linalg.norm(alone, axis=1)
    assert error.max() < 1e-5
    frames = np.concatenate([encoder.frames(window[None]) for window in batch[:3]])
    np.testing.assert_allclose(encoder.frames(batch)[:3], frames, rtol=1e-5, atol=1e-3)


def test_encode_is_the_statistics_of_frames() -> None:
    batch = windows(4, 22_050)
    frames = MFCC().frames(batch).astype(np.float64)
    expected = [np.concatenate([window.mean(0), np.cov(window.T)[np.triu_indices(13)]]) for window in frames]
    np.testing.assert_allclose(MFCC().encode(batch), expected, rtol=1e-4, atol=1e-2)


def test_silence_is_the_floor_and_does_not_vary() -> None:
    vector = MFCC().encode(np.zeros((1, 22_050), np.float32))[0]
    np.testing.assert_allclose(vector[0], -100 * np.sqrt(128), rtol=1e-6)  # 128 bands at -100 dB
    np.testing.assert_allclose(vector[1:], 0, atol=1e-8)


def test_two_frames_are_enough_and_one_is_not() -> None:
    encoder = MFCC()
    assert encoder.frames(windows(2, 511)).shape == (2, 1, 13)
    assert np.isfinite(encoder.encode(windows(2, 512))).all()
    for samples in (0, 1, 511):
        with pytest.raises(AudioError, match=f"^{samples} samples are too short for a covariance.*512"):
            encoder.encode(windows(2, samples))


def test_no_windows_give_no_vectors() -> None:
    encoder = MFCC()
    assert encoder.encode(windows(0, 22_050)).shape == (0, 104)
    assert encoder.frames(windows(0, 22_050)).shape == (0, 44, 13)


def test_there_are_no_layers() -> None:
    with pytest.raises(ConfigError, match="mfcc has no layers"):
        MFCC().frames(windows(1, 22_050), layer=3)


def test_loading_by_name() -> None:
    encoder = load("mfcc", device="cpu")
    assert isinstance(encoder, Encoder)
    assert isinstance(encoder.card, EncoderCard)
    assert (encoder.card.dim, encoder.encode(windows(1, 22_050)).shape) == (104, (1, 104))
    assert encoder.frames(windows(1, 661_500)).shape[1] == round(30 * encoder.card.frames_per_second + 0.5)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weights": "mfcc.safetensors"}, "takes no 'weights'.*It takes: device"),
        ({"devise": "cpu"}, "takes no 'devise'. Did you mean 'device'"),
    ],
)
def test_unknown_options_of_encoders_are_refused(options: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load("mfcc", **options)
    with pytest.raises(ConfigError, match=r"no encoder called 'mfc'\. Did you mean 'mfcc'"):
        load("mfc")


def test_a_card_is_read_without_torch_or_a_decoder() -> None:
    assert catalog.load("encoders", "mfcc").card.window == 30.0
    code = (
        "import sys; from timbrec import catalog; assert catalog.load('encoders', 'mfcc').card.rate == 22_050; "
        "assert not {'torch', 'scipy', 'av', 'soxr'} & sys.modules.keys(), sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
