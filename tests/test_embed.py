from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from audio_files import sine, write, write_wav
from moments import DIM, EXPECTED, RATE, Moments, assert_expected, of, vectors, write_music
from timbrec.audio import Windows, load_mono
from timbrec.embed import Output, embed, embed_all, find_tracks, length_invariance, pool, pooling
from timbrec.encoders import load
from timbrec.encoders.mfcc import MFCC
from timbrec.errors import ConfigError, DataError, StoreError
from timbrec.store import VectorStore


@pytest.fixture
def music(tmp_path: Path) -> Path:
    return write_music(tmp_path / "music")


@pytest.mark.parametrize("batch", [1, 2, 3, 100])
@pytest.mark.parametrize("workers", [1, 3])
def test_every_track_gets_the_mean_of_its_windows(music: Path, tmp_path: Path, batch: int, workers: int) -> None:
    report = embed(music, Moments(), tmp_path / "s", batch=batch, workers=workers)
    assert (report.done, report.skipped, len(report.failures), len(report.remarks)) == (5, 0, 0, 0)
    assert_expected(tmp_path / "s")


def test_windows_of_one_length_and_of_many_tracks_are_encoded_together(music: Path, tmp_path: Path) -> None:
    encoder = Moments()
    embed(music, encoder, tmp_path / "s", batch=9)
    assert encoder.batches == [(8, RATE), (1, 300)]  # no padding: the short one goes alone


def test_the_store_keeps_its_window_policy(music: Path, tmp_path: Path) -> None:
    embed(music, Moments(), tmp_path / "s", Windows("first"))
    assert vectors(tmp_path / "s")["c"] == pytest.approx(of(0.1), abs=1e-6)
    info = VectorStore.open(tmp_path / "s").info
    assert (info.encoder, info.revision, info.layer, info.pool, info.over) == ("moments", "1", None, "mean", "time")
    assert (info.windows, info.dim) == ("first 1 s", DIM)
    with pytest.raises(StoreError, match="windows is 'first 1 s', expected 'spread 8 x 1 s'"):
        embed(music, Moments(), tmp_path / "s")


def test_stored_tracks_are_not_encoded_again(music: Path, tmp_path: Path) -> None:
    embed(music / "album", Moments(), tmp_path / "s")
    encoder, heard = Moments(), []
    report = embed(music, encoder, tmp_path / "s", progress=lambda *step: heard.append(step))
    assert (report.done, report.skipped) == (2, 3)
    assert heard == [("encoding moments", done, 5) for done in (3, 4, 5)]
    assert sum(n for n, _ in encoder.batches) == 3
    assert_expected(tmp_path / "s", "c d·d é a b")
    again = embed(music, encoder, tmp_path / "s", progress=lambda *_: pytest.fail("there is nothing to do"))
    assert (again.done, again.skipped) == (0, 5)


class Interrupted(Moments):
    """An encoder that raises KeyboardInterrupt in its third batch, like Ctrl-C."""

    def encode(self, windows: np.ndarray) -> np.ndarray:
        if len(self.batches) == 2:
            raise KeyboardInterrupt
        return super().encode(windows)


def test_an_interrupted_run_goes_on_where_it_stopped(music: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        embed(music, Interrupted(), tmp_path / "s", batch=1)
    assert_expected(tmp_path / "s", "a")  # the batch in flight is lost, and it was b's second window
    report = embed(music, Moments(), tmp_path / "s")
    assert (report.done, report.skipped) == (4, 1)
    assert_expected(tmp_path / "s")


def test_bad_files_are_listed_and_the_others_encoded(music: Path, tmp_path: Path) -> None:
    write(music / "x-cut.flac", 0.1 * np.random.default_rng(0).normal(size=90_000), 22_050)
    content = (music / "x-cut.flac").read_bytes()
    (music / "x-cut.flac").write_bytes(content[: len(content) // 2])
    (music / "x-empty.mp3").touch()
    (music / "x-gone.mp3").symlink_to(music / "nowhere.mp3")
    (music / "x-loop.mp3").symlink_to(music / "x-loop.mp3")
    (music / "x-text.mp3").write_text("la la la " * 500)
    write_wav(music / "x-nan.wav", np.full(RATE, np.nan), RATE, "f32")
    write_wav(music / "x-silent.wav", np.zeros(RATE), RATE)
    write_wav(music / "x-one.wav", np.array([0.5]), RATE)
    write_wav(music / "x-loud.wav", np.full(RATE, 1e30), RATE, "f32")
    write(music / "album/z.flac", sine(100, 8000, 1), 8000).rename(music / "z.ogg")
    report = embed(music, Moments(), tmp_path / "s", batch=2)
    assert dict(report.failures.select("id", "reason").iter_rows()) == {
        "x-cut": "it is cut short: 1.9 of 4.1 s can be decoded",
        "x-empty": "it is empty",
        "x-gone": "it does not exist",
        "x-loop": "it cannot be read: Too many levels of symbolic links",
        "x-loud": "it holds samples of up to 1e+30 times full scale",
        "x-nan": "it holds samples that are NaN or infinite",
        "x-one": "too short for moments",
        "x-silent": "it is silent",
        "x-text": "it is text, which is not read",
    }
    assert report.failures.filter(id="x-nan")["path"].item() == str(music / "x-nan.wav")
    assert report.remarks.rows() == [
        ("z", str(music / "z.ogg"), "it is named .ogg, but its content is flac", "Rename it.")
    ]
    assert report.done == 6
    assert set(vectors(tmp_path / "s")) == {*EXPECTED, "z"}


def test_names_that_are_not_utf8_are_read(music: Path, tmp_path: Path) -> None:
    os.rename(music / "a.wav", os.fsencode(music) + b"/a\xff.wav")  # noqa: PTH104 - a Path cannot be made of it
    report = embed(music, Moments(), tmp_path / "s")
    assert (report.done, len(report.failures)) == (5, 0)
    assert vectors(tmp_path / "s")["a\ufffd"] == pytest.approx(EXPECTED["a"], abs=1e-6)


def test_a_run_of_bad_files_alone_makes_an_empty_store(tmp_path: Path) -> None:
    (tmp_path / "a.mp3").touch()
    report = embed(tmp_path, Moments(), tmp_path / "s")
    assert (report.done, len(report.failures), len(VectorStore.open(tmp_path / "s"))) == (0, 1, 0)


def test_a_folder_without_audio_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(DataError, match=r"there is no audio in .*Looked for \.wav, "):
        embed(tmp_path, Moments(), tmp_path / "s")
    assert not (tmp_path / "s").exists()
    with pytest.raises(DataError, match="none does not exist"):
        embed(tmp_path / "none", Moments(), tmp_path / "s")
    (tmp_path / "notes.md").write_text("no table")
    with pytest.raises(DataError, match="neither a folder nor a manifest"):
        embed(tmp_path / "notes.md", Moments(), tmp_path / "s")


def test_names_that_collide_later_are_refused_and_paths_tell_them_apart(music: Path, tmp_path: Path) -> None:
    embed(music, Moments(), tmp_path / "s")
    write(music / "album/a.flac", sine(100, 8000, 1), 8000)
    with pytest.raises(DataError, match=r"same id: .*music/a\.wav and .*music/album/a\.flac.*--ids path") as caught:
        embed(music, Moments(), tmp_path / "s")
    assert caught.value.count == 1
    report = embed_all(music, [Output(Moments(), tmp_path / "s")], ids="path")
    assert (report.done, report.recognised, report.skipped, report.gone) == (1, 3, 2, 3)
    paths = {"a", "album/a", "album/c", "album/d d", "album/é", "b"}
    assert paths < set(vectors(tmp_path / "s"))
    again = embed_all(music, [Output(Moments(), tmp_path / "s")], prune=True)  # the choice is kept
    assert (again.done, again.skipped, again.gone) == (0, 6, 3)
    assert set(vectors(tmp_path / "s")) == paths


def test_linked_folders_are_not_followed(music: Path) -> None:
    (music / "album/loop").symlink_to(music)
    assert [track.id for track in find_tracks(music)] == list(EXPECTED)


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".parquet"])
def test_a_manifest_names_ids_and_files(music: Path, tmp_path: Path, suffix: str) -> None:
    table = pl.DataFrame({"path": ["album/c.wav", str(music / "a.wav")], "year": [1, 2], "id": ["007", "x"]})
    path = music / f"tracks{suffix}"
    if suffix == ".parquet":
        table.write_parquet(path)
    else:
        table.write_csv(path, separator="," if suffix == ".csv" else "\t")
    embed(path, Moments(), tmp_path / "s")
    stored = vectors(tmp_path / "s")
    assert list(stored) == ["007", "x"]
    np.testing.assert_allclose(list(stored.values()), [EXPECTED["c"], EXPECTED["a"]], atol=1e-6)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,file\n1,a.wav\n", "has no column 'path'. It has: id, file"),
        ("id,path\n", "there is no audio"),
        ("id,path\n1,a.wav\n,b.wav\n", "rows without id or path"),
        ("id,path\n1,a.wav\n1,b.wav\n", "same id: .*a.wav and .*b.wav"),
        ("", "is empty"),
    ],
)
def test_a_wrong_manifest_is_an_error(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "m.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        find_tracks(tmp_path / "m.csv")


def test_pooling_is_the_mean_over_time_and_nothing_else() -> None:
    frames = np.array([[1, 10, 100], [3, 30, 300]], np.float32)
    assert pool(frames).tolist() == [2, 20, 200]
    with pytest.raises(ConfigError, match="cannot be pooled by 'sum' over 'time'"):
        pool(frames, pool="sum")
    with pytest.raises(ConfigError, match="cannot be pooled by 'mean' over 'channels'"):
        pool(frames, over="channels")


def test_a_track_played_twice_keeps_its_vector() -> None:
    assert length_invariance(MFCC()) < 1e-6
    assert length_invariance(Moments()) < 1e-6


def test_a_sum_over_time_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Defect 11 of the study, put into the running code."""
    monkeypatch.setattr(pooling, "pool", lambda frames, **_: frames.sum(axis=0))
    assert length_invariance(MFCC()) == pytest.approx(1.0, abs=1e-6)


def test_pooling_over_channels_is_refused(music: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Defect 3 of the study, put into the running code: where windows are pooled, and inside an encoder."""
    monkeypatch.setattr(pooling, "pool", lambda frames, **_: frames.mean(axis=1))
    with pytest.raises(DataError, match="vectors of 1 values where its card says 3: pooled over the wrong axis"):
        embed(music, Moments(), tmp_path / "s")
    with pytest.raises(DataError, match="wrong axis"):
        length_invariance(MFCC())
    monkeypatch.undo()
    monkeypatch.setattr(Moments, "encode", lambda self, windows: self.frames(windows).mean(axis=2))
    with pytest.raises(DataError, match="vectors of 1,000 values where its card says 3: pooled over the wrong axis"):
        embed(music, Moments(), tmp_path / "s")


def test_mfcc_from_files_is_mfcc_of_their_samples(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    tracks = {f"t{i}": rng.normal(0, 0.1, size=30_000 + 5_000 * (i % 2)) for i in range(5)}
    for name, samples in tracks.items():
        write(tmp_path / f"{name}.flac", samples, 22_050)
    embed(tmp_path, MFCC(), tmp_path / "s")
    stored = VectorStore.open(tmp_path / "s").aligned(list(tracks))
    alone = [MFCC().encode(load_mono(tmp_path / f"{name}.flac", 22_050)[None])[0] for name in tracks]
    np.testing.assert_allclose(stored, alone, rtol=1e-4, atol=1e-3)


def test_one_piece_at_two_rates_has_one_vector(test_data: Path, tmp_path: Path) -> None:
    """Three of the 14 recordings also exist at 44.1 kHz in stereo; the others are at 22.05 kHz and mono."""
    report = embed(test_data / "data/librosa_clips/audio", load("mfcc"), tmp_path / "s")
    assert (report.done, len(report.failures)) == (17, 0)
    store = VectorStore.open(tmp_path / "s")
    twins = [name for name in store.ids if name.endswith(".hq")]
    others = [name for name in store.ids if name not in twins]
    low, high = store.aligned(others), store.aligned(twins)
    mean, spread = low.mean(axis=0), low.std(axis=0)
    low, high = ((vector - mean) / spread for vector in (low, high))
    cosine = high @ low.T / np.outer(np.linalg.norm(high, axis=1), np.linalg.norm(low, axis=1))
    assert [others[row] for row in cosine.argmax(axis=1)] == [name.removesuffix(".hq") for name in twins]
    assert cosine.max(axis=1).min() > 0.95  # the next best is below 0.75
    assert np.sort(cosine, axis=1)[:, -2].max() < 0.75
