"""Resamplers of audio files: kaiser_best against resampy itself, and one decoding for several cuts."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import resampy

from audio_files import write_wav
from moments import Moments
from timbrec.audio import AudioFile, Clip, Cut, Windows, load_mono, read_clips
from timbrec.audio.resampling import resampler
from timbrec.embed import Output, embed
from timbrec.encoders import load
from timbrec.errors import ConfigError, StoreError
from timbrec.types import Array

RATES = [(44_100, 16_000), (48_000, 16_000), (22_050, 16_000), (8000, 16_000), (44_100, 22_050), (11_025, 44_100)]


def noise(samples: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(0, 0.1, samples).astype(np.float32)


@pytest.mark.parametrize(("rate", "to"), RATES)
@pytest.mark.parametrize("block", [700, 65_536])
def test_blocks_by_kaiser_best_are_resampy_of_the_whole(rate: int, to: int, block: int) -> None:
    samples = noise(100_001)
    expected = resampy.resample(samples, rate, to, filter="kaiser_best")
    stream = resampler(rate, to, "kaiser_best")
    parts = [stream(samples[start : start + block]) for start in range(0, len(samples), block)]
    resampled = np.concatenate([*parts, stream.rest()])
    assert resampled.dtype == np.float32
    np.testing.assert_allclose(resampled, expected, atol=1e-6)
    if block > 10_000:
        assert len(parts[0]) > 0.9 * block * to / rate, "the first block waits for the end"


@pytest.mark.parametrize("length", [0, 1, 2, 300])
def test_kaiser_best_of_a_few_samples(length: int) -> None:
    samples = noise(length)
    stream = resampler(44_100, 16_000, "kaiser_best")
    resampled = np.concatenate([stream(samples), stream.rest()])
    expected = resampy.resample(samples, 44_100, 16_000, filter="kaiser_best") if length > 2 else np.empty(0)
    np.testing.assert_allclose(resampled, expected, atol=1e-6)


def test_a_file_is_resampled_as_its_cut_says(tmp_path: Path) -> None:
    samples = noise(100_000)
    path = write_wav(tmp_path / "a.wav", samples, 44_100, "f32")
    expected = resampy.resample(samples, 44_100, 16_000, filter="kaiser_best")
    np.testing.assert_allclose(load_mono(path, 16_000, "kaiser_best"), expected, atol=1e-6)
    cuts = [Cut(16_000, 1.0, Windows("all")), Cut(16_000, 1.0, Windows("all"), "kaiser_best")]
    by_soxr, by_kaiser = read_clips(path, cuts)
    assert isinstance(by_soxr, Clip)
    assert isinstance(by_kaiser, Clip)
    np.testing.assert_allclose(by_kaiser.windows, expected[:32_000].reshape(2, -1), atol=1e-6)
    assert by_kaiser.audio == by_soxr.audio
    assert not np.allclose(by_kaiser.windows, by_soxr.windows, atol=1e-3)


def test_several_cuts_at_one_rate_get_the_samples_of_each_alone(tmp_path: Path) -> None:
    """The last samples leave the resampler once, and belong to every cut."""
    path = write_wav(tmp_path / "a.wav", noise(44_100), 44_100, "f32")
    cuts = [Cut(16_000, 1.0, Windows("all")), Cut(16_000, 1.0, Windows()), Cut(16_000, 30.0, Windows("padded"))]
    for cut, clip in zip(cuts, read_clips(path, cuts), strict=True):
        (alone,) = read_clips(path, [cut])
        assert isinstance(clip, Clip)
        assert isinstance(alone, Clip)
        np.testing.assert_array_equal(clip.windows, alone.windows)


def test_an_encoders_resampler_is_in_its_card_and_its_store(tmp_path: Path) -> None:
    class Kaiser(Moments):
        card = replace(Moments.card, revision="1, resampler kaiser_best", resampler="kaiser_best")

    write_wav(tmp_path / "music.wav", noise(3000), 1500, "f32")
    embed(tmp_path, Moments(), tmp_path / "s")
    with pytest.raises(StoreError, match="its revision is '1', expected '1, resampler kaiser_best'"):
        embed(tmp_path, Kaiser(), tmp_path / "s")


def test_musicnn_declares_its_resampler() -> None:
    usual, kaiser = load("musicnn-msd"), load("musicnn-msd", resampler="kaiser_best")
    assert usual.card.resampler == "soxr"
    assert kaiser.card.resampler == "kaiser_best"
    assert kaiser.card.revision == f"{usual.card.revision}, resampler kaiser_best"
    assert Output(kaiser, Path("s")).cut.resampler == "kaiser_best"


def test_unknown_resamplers_and_a_missing_package_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"no resampler 'sinc'\. Known: soxr, kaiser_best"):
        load("musicnn-msd", resampler="sinc")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"needs the package resampy\. pip install timbrec\[resampy\]"):
        load("musicnn-msd", resampler="kaiser_best")
    path = write_wav(tmp_path / "a.wav", noise(100), 8000)
    with AudioFile(path) as file, pytest.raises(ConfigError, match="resampy"):
        list(file.mono(16_000, "kaiser_best"))
