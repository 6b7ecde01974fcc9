"""Vectors follow the audio, not the file: renamed, retagged, copied, changed and removed files."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import polars as pl
import pytest

from audio_files import sine, write, write_wav
from made import HARNESS
from moments import EXPECTED, RATE, Moments, assert_expected, levels, of, vectors, write_music
from timbrec.audio import Windows, read_windows
from timbrec.embed import Output, embed, embed_all, outputs
from timbrec.errors import ConfigError, DataError, StoreError
from timbrec.store import VectorStore


@pytest.fixture
def music(tmp_path: Path) -> Path:
    return write_music(tmp_path / "music")


def report_of(folder: Path, store: Path) -> tuple[int, int, int, int]:
    """Tracks encoded, recognised, unchanged and failed, and a check that only the first were given to the encoder."""
    encoder = Moments()
    report = embed(folder, encoder, store)
    assert bool(encoder.batches) == bool(report.done)
    return report.done, report.recognised, report.skipped, len(report.failures)


def tagged(source: Path, target: Path, title: str) -> Path:
    """The same packets with another title."""
    with av.open(source) as old, av.open(target, "w") as new:
        stream = new.add_stream_from_template(old.streams.audio[0])
        new.metadata["title"] = title
        for packet in old.demux(old.streams.audio[0]):
            if packet.dts is not None:
                packet.stream = stream
                new.mux(packet)
    return target


def test_a_renamed_and_a_moved_file_keep_their_vectors(music: Path, tmp_path: Path) -> None:
    assert report_of(music, tmp_path / "s") == (5, 0, 0, 0)
    (music / "album").rename(music / "other")
    (music / "a.wav").rename(music / "z.wav")
    assert report_of(music, tmp_path / "s") == (0, 1, 4, 0)
    stored = vectors(tmp_path / "s")
    assert stored["z"] == pytest.approx(EXPECTED["a"], abs=1e-6)
    assert stored["a"] == stored["z"]  # what is gone is kept
    assert report_of(music, tmp_path / "s") == (0, 0, 5, 0)


def test_a_touched_and_a_copied_file_are_read_but_not_decoded(
    music: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    embed(music, Moments(), tmp_path / "s")
    os.utime(music / "a.wav", (1, 1))
    (music / "copy.wav").write_bytes((music / "b.WAV").read_bytes())
    monkeypatch.setattr("timbrec.embed.reading.read_clips", lambda *_: pytest.fail("decoded"))
    report = embed(music, Moments(), tmp_path / "s")
    assert (report.done, report.recognised, report.skipped) == (0, 2, 4)
    assert report.duplicates.rows() == [("copy", str(music / "copy.wav"), "b")]
    assert vectors(tmp_path / "s")["copy"] == pytest.approx(EXPECTED["b"], abs=1e-6)


@pytest.mark.parametrize("suffix", [".mp3", ".flac", ".m4a", ".opus"])
def test_a_retagged_file_has_the_same_audio(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path / f"a{suffix}", sine(440, 48_000, 2), 48_000)
    other = tagged(path, tmp_path / f"b{suffix}", "a title that is long enough to move everything behind it")
    assert path.read_bytes() != other.read_bytes()
    untagged, retagged = (read_windows(each, RATE, 1.0, Windows()) for each in (path, other))
    assert untagged.audio == retagged.audio
    assert report_of(tmp_path, tmp_path / "s") == (1, 1, 0, 0)  # encoded once


def test_the_hash_does_not_depend_on_the_container(tmp_path: Path) -> None:
    samples = np.random.default_rng(0).integers(-9999, 9999, 3000) / 32_767
    audio = {
        read_windows(path, RATE, 1.0, Windows()).audio
        for path in (
            write_wav(tmp_path / "a.wav", samples, 48_000),
            write_wav(tmp_path / "b.wav", np.stack([samples, samples]), 48_000),
        )
    }
    assert len(audio) == 1
    samples[7] += 1 / 32_767
    assert read_windows(write_wav(tmp_path / "c.wav", samples, 48_000), RATE, 1.0, Windows()).audio not in audio
    assert read_windows(write_wav(tmp_path / "d.wav", samples, 44_100), RATE, 1.0, Windows()).audio not in audio


def test_the_hash_of_first_covers_the_first_window(tmp_path: Path) -> None:
    """Two tracks that begin alike have one hash, even if other encoders of the run read further."""
    start = np.random.default_rng(0).normal(0, 0.1, 200_000)
    for name, end in (("a", 0.1), ("b", 0.2)):
        write_wav(tmp_path / f"{name}.wav", np.concatenate([start, levels(end)]), RATE, "f32")
    first, every = read_windows(tmp_path / "a.wav", RATE, 1.0, Windows("first")), Windows("all")
    assert first.audio == read_windows(tmp_path / "b.wav", RATE, 1.0, Windows("first")).audio
    assert read_windows(tmp_path / "a.wav", RATE, 1.0, every).audio != first.audio
    encoder, targets = Moments(), [tmp_path / "first", tmp_path / "all"]
    embed_all(tmp_path, [Output(encoder, targets[0], Windows("first")), Output(encoder, targets[1], every)])
    audio = VectorStore.open(targets[0]).tracks["audio"]
    assert audio.to_list() == [first.audio, first.audio]
    assert VectorStore.open(targets[1]).tracks["audio"].n_unique() == 2


def test_duplicates_are_encoded_once_and_listed(music: Path, tmp_path: Path) -> None:
    write_wav(music / "twin.wav", levels(0.1, 0.2, 0.3), RATE, "f64")  # the same values in other bytes
    encoder = Moments()
    report = embed(music, encoder, tmp_path / "s", batch=3)
    assert (report.done, report.recognised) == (5, 1)
    assert sum(n for n, _ in encoder.batches) == 9
    assert report.duplicates.rows() == [("twin", str(music / "twin.wav"), "c")]
    stored = vectors(tmp_path / "s")
    assert stored["twin"] == stored["c"]
    assert len(VectorStore.open(tmp_path / "s")) == 6


def test_changed_audio_replaces_its_vector(music: Path, tmp_path: Path) -> None:
    embed(music, Moments(), tmp_path / "s")
    write_wav(music / "a.wav", levels(0.9), RATE, "f32")
    before = VectorStore.open(tmp_path / "s").digest
    assert report_of(music, tmp_path / "s") == (1, 0, 4, 0)
    assert vectors(tmp_path / "s")["a"] == pytest.approx(of(0.9), abs=1e-6)
    assert VectorStore.open(tmp_path / "s").digest != before
    write_wav(music / "a.wav", levels(0.1), RATE, "f32")  # as it was: its vector is still there
    assert report_of(music, tmp_path / "s") == (0, 1, 4, 0)
    assert_expected(tmp_path / "s", "b c d·d é a")


def test_a_file_that_became_bad_loses_its_vector(music: Path, tmp_path: Path) -> None:
    embed(music, Moments(), tmp_path / "s")
    (music / "a.wav").write_text("no longer music")
    (music / "b.WAV").unlink()  # out of reach, perhaps for a moment: its vector stays
    (music / "b.WAV").symlink_to(music / "nowhere")
    report = embed(music, Moments(), tmp_path / "s")
    assert dict(report.failures.select("id", "reason").iter_rows()) == {
        "a": "it is text, which is not read", "b": "it does not exist",
    }  # fmt: skip
    store = VectorStore.open(tmp_path / "s")
    assert store.has(["a", "b", "c"]).tolist() == [False, True, True]
    with pytest.raises(StoreError, match="some ids have no vector"):
        store.aligned(["a"])


def test_removed_files_stay_until_they_are_pruned(music: Path, tmp_path: Path) -> None:
    embed(music, Moments(), tmp_path / "s")
    (music / "a.wav").unlink()
    output = Output(Moments(), tmp_path / "s")
    assert embed_all(music, [output]).gone == 1
    assert_expected(tmp_path / "s")
    assert embed_all(music, [output], prune=True).gone == 1
    assert_expected(tmp_path / "s", "b c d·d é")
    assert embed_all(music, [output], prune=True).gone == 0


def test_a_file_that_changes_while_it_is_read_is_a_failure(
    music: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from timbrec.audio import file

    real = file._mono

    def growing(frame: av.AudioFrame, kind: str, channels: int) -> np.ndarray:
        with (music / "album/c.wav").open("ab") as other:
            other.write(b"more")
        return real(frame, kind, channels)  # type: ignore[return-value]

    monkeypatch.setattr(file, "_mono", growing)
    report = embed(music / "album", Moments(), tmp_path / "s", workers=1)
    assert dict(report.failures.select("id", "reason").iter_rows()) == {"c": "it was changed while it was read"}
    monkeypatch.undo()
    assert report_of(music / "album", tmp_path / "s")[:3] == (1, 0, 2)


def test_unreadable_files_and_folders(
    music: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Simulated, since the tests may be run by root, who may read everything."""
    real_open, real_scan = Path.open, os.scandir

    def refused(path: Path, *args: object, **kwargs: object) -> object:
        if path == music / "a.wav":
            raise PermissionError(errno.EACCES, "Permission denied")
        return real_open(path, *args, **kwargs)  # type: ignore[call-overload]

    monkeypatch.setattr(Path, "open", refused)
    report = embed(music, Moments(), tmp_path / "s")
    assert report.failures.select("id", "reason").rows() == [
        ("a", "it cannot be read: [Errno 13] Permission denied")
    ]  # fmt: skip

    def refuse_album(path: str) -> object:
        if str(path).endswith("album"):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return real_scan(path)

    monkeypatch.setattr(os, "scandir", refuse_album)
    with pytest.raises(DataError, match=r"album cannot be listed: Permission denied. Check its permissions"):
        embed(music, Moments(), tmp_path / "s")


def test_names_of_any_kind(tmp_path: Path) -> None:
    names = ["ünï 文字", "x" * 251, "a,b\n\"c'", "[red]", " "]
    for number, name in enumerate(names):
        write_wav(tmp_path / f"{name}.wav", levels(0.1 * (1 + number)), RATE, "f32")
    os.mkfifo(tmp_path / "pipe.mp3")
    report = embed(tmp_path, Moments(), tmp_path / "s")
    assert report.failures.select("id", "reason").rows() == [("pipe", "it is no regular file")]
    stored = vectors(tmp_path / "s")
    assert {name: stored[name][0] for name in names} == pytest.approx({n: 0.1 * (1 + i) for i, n in enumerate(names)})


@pytest.mark.parametrize("kind", ["u8", "s24", "f64"])
@pytest.mark.parametrize("rate", [8000, 192_000])
def test_kinds_of_wav(tmp_path: Path, kind: str, rate: int) -> None:
    write_wav(tmp_path / "a.wav", np.tile([0.51, 0.49], (6, rate)), rate, kind)
    assert report_of(tmp_path, tmp_path / "s") == (1, 0, 0, 0)
    assert vectors(tmp_path / "s")["a"] == pytest.approx([0.5, 0.25, 1.0], abs=0.02)


def test_several_encoders_decode_a_file_once(
    music: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from timbrec.embed import reading

    class Half(Moments):
        card = replace(Moments.card, name="half", rate=RATE // 2, window=0.5)

    read, real = [], reading.read_clips  # type: ignore[attr-defined]
    monkeypatch.setattr(reading, "read_clips", lambda path, *args: read.append(path.name) or real(path, *args))  # type: ignore[func-returns-value]
    targets = [Output(encoder(), tmp_path / name) for encoder, name in ((Moments, "a"), (Half, "half"), (Moments, "b"))]
    embed_all(music, targets[:2])
    assert sorted(read) == sorted(path.name for path in music.rglob("*.[wW][aA][vV]") if not path.name.startswith("."))
    assert_expected(tmp_path / "a")
    assert vectors(tmp_path / "half")["c"] == pytest.approx([*EXPECTED["c"][:2], 0.25], abs=0.02)
    read.clear()
    embed_all(music, targets)  # only the third lacks anything
    assert len(read) == 5
    assert_expected(tmp_path / "b")
    assert targets[0].encoder.batches  # type: ignore[attr-defined]
    with pytest.raises(ConfigError, match="each with a store of its own"):
        embed_all(music, [targets[0], targets[0]])


class Layered(Moments):
    """Layer l is l times the frames; all layers can be had from one pass."""

    card = replace(Moments.card, name="layered", layers=3)

    def __init__(self, one_pass: bool = True) -> None:
        super().__init__()
        if one_pass:
            self.encode_layers = self._encode_layers

    def _encode_layers(self, windows: np.ndarray, layers: list[int]) -> dict[int, np.ndarray]:
        self.batches.append(windows.shape)
        return {layer: self.frames(windows, layer).mean(1) for layer in layers}

    def frames(self, windows: np.ndarray, layer: int | None = None) -> np.ndarray:
        return super().frames(windows) * np.float32(3 if layer is None else layer)


@pytest.mark.parametrize("one_pass", [True, False])
def test_layers_and_pools_have_stores_of_their_own(music: Path, tmp_path: Path, one_pass: bool) -> None:
    encoder = Layered(one_pass)
    targets = outputs(encoder, tmp_path, [0, 2], ["mean", "max", "meanstd"])
    embed_all(music, targets, batch=100)
    if one_pass:
        assert len(encoder.batches) == 2  # one per length of windows, not per layer
    assert [output.store.name for output in targets] == [
        f"layered-layer{layer}{pool}" for layer in (0, 2) for pool in ("", "-max", "-meanstd")
    ]
    c = np.array([[0.1, 0.01, 1], [0.2, 0.04, 1], [0.3, 0.09, 1]]) * 2  # the same within a window
    stored = {output.store.name: vectors(output.store)["c"] for output in targets}
    assert stored["layered-layer2"] == pytest.approx(c.mean(0), abs=1e-5)
    assert stored["layered-layer2-max"] == pytest.approx(c.max(0), abs=1e-6)
    assert stored["layered-layer2-meanstd"] == pytest.approx([*c.mean(0), *c.std(0)], abs=1e-6)
    info = VectorStore.open(tmp_path / "layered-layer2-meanstd").info
    assert (info.layer, info.pool, info.over, info.dim) == (2, "meanstd", "time", 6)
    again = embed_all(music, targets)
    assert (again.done, again.skipped) == (0, 5)


def test_padded_is_the_first_half_minute_with_zeros_behind(tmp_path: Path) -> None:
    write_wav(tmp_path / "short.wav", levels(0.1, 0.2, 0.3), RATE, "f32")
    write_wav(tmp_path / "long.wav", np.repeat([0.1, 0.9], 30 * RATE), RATE, "f32")
    encoder = Moments()
    embed(tmp_path, encoder, tmp_path / "s", Windows("padded"))
    stored = vectors(tmp_path / "s")
    assert stored["short"] == pytest.approx([0.02, 0.14 / 30, 30.0], abs=1e-6)
    assert stored["long"] == pytest.approx([0.1, 0.01, 30.0], abs=1e-6)
    assert VectorStore.open(tmp_path / "s").info.windows == "padded 30 s"


class Small(Moments):
    """Has memory for three windows."""

    def __init__(self, most: int = 3) -> None:
        super().__init__()
        self.most = most

    def encode(self, windows: np.ndarray) -> np.ndarray:
        if len(windows) > self.most:
            raise RuntimeError(f"CUDA out of memory. Tried to allocate {len(windows)} windows")
        return super().encode(windows)


def test_out_of_memory_halves_the_batch_and_says_so_once(
    music: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    encoder = Small()
    embed(music, encoder, tmp_path / "s", batch=8)
    assert_expected(tmp_path / "s")
    assert [n for n, _ in encoder.batches] == [2, 2, 2, 2, 1]
    assert [record.message for record in caplog.records] == [
        "moments: out of memory; going on with batches of 4 windows",
        "moments: out of memory; going on with batches of 2 windows",
    ]
    report = embed(music, Small(0), tmp_path / "none", batch=8)
    assert set(report.failures["reason"]) == {"there is not enough memory to encode one window of it"}


_FULL = """
import resource, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from moments import Moments
from timbrec.embed import embed
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[4]), -1))
embed(sys.argv[2], Moments(), sys.argv[3], batch=1)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the limit on the size of files is tested as Linux has it")
def test_a_full_disk_stops_cleanly_and_loses_nothing(tmp_path: Path) -> None:
    """The system refuses to let any file grow beyond a size: as on a full disk, the write fails."""
    (tmp_path / "music").mkdir()
    for number in range(12):
        write_wav(tmp_path / f"music/t{number:02}.wav", levels(0.05 * (number + 1)), RATE, "f32")
    command = [sys.executable, "-c", _FULL, str(Path(__file__).parent), str(tmp_path / "music"), str(tmp_path / "s")]
    done = subprocess.run([*command, "1000"], capture_output=True, text=True, check=False)
    assert "StoreError: cannot write into" in done.stderr
    assert "File too large. Free some space" in done.stderr
    assert len(VectorStore.open(tmp_path / "s")) == 0
    encoder = Moments()
    report = embed(tmp_path / "music", encoder, tmp_path / "s")
    assert 0 < sum(n for n, _ in encoder.batches) < 12  # what had been written was not encoded again
    assert report.done + report.skipped == 12
    assert {name: value[0] for name, value in vectors(tmp_path / "s").items()} == pytest.approx(
        {f"t{number:02}": 0.05 * (number + 1) for number in range(12)}
    )
    VectorStore.open(tmp_path / "s").verify()


_LONG = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from moments import Moments
sys.path.insert(0, sys.argv[5])
from peak import peak
from timbrec.audio import Windows
from timbrec.embed import embed
embed(sys.argv[4], Moments(), sys.argv[3] + "-short")  # imports are no part of it
reports = []
grown = peak(lambda: reports.append(embed(sys.argv[2], Moments(), sys.argv[3])))
print(reports[0].done, grown // 2**20, sep="|")
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads the memory of a process as Linux shows it")
def test_ten_hours_stream_in_little_memory(tmp_path: Path) -> None:
    """36 million samples are 137 MiB as float32; at most 17 windows of a second are held, and a block of 256 KiB."""
    (tmp_path / "music").mkdir()
    write(tmp_path / "music/mix.flac", np.tile(np.float32([0.51, 0.49]), 18_000 * RATE), RATE)  # type: ignore[arg-type]
    (tmp_path / "short").mkdir()
    write(tmp_path / "short/song.flac", np.tile(np.float32([0.51, 0.49]), RATE), RATE)  # type: ignore[arg-type]
    folders = [str(tmp_path / name) for name in ("music", "s", "short")]
    command = [sys.executable, "-c", _LONG, str(Path(__file__).parent), *folders, str(HARNESS)]
    done, grown = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("|")
    assert (done, vectors(tmp_path / "s")["mix"][0]) == ("1", pytest.approx(0.5, abs=0.01))  # type: ignore[comparison-overlap]
    assert int(grown) < 60


def test_two_runs_do_not_write_into_one_store(music: Path, tmp_path: Path) -> None:
    class Nested(Moments):
        def encode(self, windows: np.ndarray) -> np.ndarray:
            embed(music, Moments(), tmp_path / "s")
            return super().encode(windows)

    with pytest.raises(StoreError, match="another run is writing into"):
        embed(music, Nested(), tmp_path / "s")


def test_a_store_of_ids_is_not_written_into(music: Path, tmp_path: Path) -> None:
    info = Output(Moments(), tmp_path / "s").info(3)
    VectorStore.create(tmp_path / "s", info).append(["a"], np.ones((1, 3)))
    with pytest.raises(StoreError, match="holds vectors by ids, without the audio they belong to"):
        embed(music, Moments(), tmp_path / "s")
    embed(music, Moments(), tmp_path / "t")
    with pytest.raises(StoreError, match="holds vectors by their audio, not by ids"):
        VectorStore.open(tmp_path / "t").append(["new"], np.ones((1, 3)))
    assert isinstance(VectorStore.open(tmp_path / "t").tracks, pl.DataFrame)
