"""A music library over time: ids of its tracks, files that fail, other folders, and the lists beside the stores."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import yaml

import small_world
from audio_files import write, write_wav
from moments import EXPECTED, RATE, Moments, levels, vectors, write_music
from timbrec.audio.tags import read_tag
from timbrec.embed import EmbedReport, Output, embed, embed_all, list_tracks, reading
from timbrec.embed.manifest import manifest_of
from timbrec.errors import ConfigError, DataError
from timbrec.store import Subset, VectorStore
from timbrec.store.notes import Note, Notes, Record
from timbrec.study.config import read_config
from timbrec.study.inputs import load_inputs


@pytest.fixture
def music(tmp_path: Path) -> Path:
    return write_music(tmp_path / "music")


@pytest.fixture
def albums(tmp_path: Path) -> Path:
    """Two albums with tracks of equal names."""
    for number, name in enumerate(("A/One/01 Intro", "B/Two/01 Intro", "B/Two/02 Song")):
        path = tmp_path / f"albums/{name}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_wav(path, levels(0.1 + number / 10), RATE, "f32")
    return tmp_path / "albums"


def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of files that are decoded from now on."""
    names, read_clips = list[str](), reading.read_clips  # type: ignore[attr-defined]
    monkeypatch.setattr(reading, "read_clips", lambda path, *rest: names.append(path.name) or read_clips(path, *rest))  # type: ignore[func-returns-value]
    return names


def reasons(report: EmbedReport) -> dict[str, str]:
    return dict(report.failures.select("id", "reason").iter_rows())


def assert_unchanged(store: Path) -> None:
    stored = vectors(store)
    assert stored.keys() == EXPECTED.keys()
    for track, vector in EXPECTED.items():
        assert stored[track] == pytest.approx(vector, abs=1e-6)


# Ids


def test_albums_with_equal_names_get_paths_as_ids(albums: Path, tmp_path: Path) -> None:
    embed(albums, Moments(), tmp_path / "s")
    assert list(vectors(tmp_path / "s")) == ["A/One/01 Intro", "B/Two/01 Intro", "B/Two/02 Song"]
    assert VectorStore.open(tmp_path / "s").track_ids == "path"
    (albums / "B/Two/01 Intro.wav").unlink()  # the stems differ now; the ids stay paths
    assert embed(albums, Moments(), tmp_path / "s").skipped == 2
    write_wav(albums / "02 Song.wav", levels(0.7), RATE, "f32")
    with pytest.raises(DataError, match=r"same id: .*Use `--ids path`, in a config `ids: path`"):
        list_tracks(albums, "stem")
    with pytest.raises(ConfigError, match="no ids of kind 'name'"):
        list_tracks(albums, "name")


def test_a_tag_names_tracks(tmp_path: Path) -> None:
    import av

    for number, (suffix, key) in enumerate(((".flac", "MUSICBRAINZ_TRACKID"), (".mp3", "MusicBrainz Track Id"))):
        plain = write(tmp_path / f"plain{suffix}", 0.1 * np.random.default_rng(number).normal(size=8000), 8000)
        with av.open(plain) as old, av.open(tmp_path / f"tagged{suffix}", "w") as new:
            stream = new.add_stream_from_template(old.streams.audio[0])
            new.metadata[key] = f"id-{number}"
            for packet in old.demux(old.streams.audio[0]):
                if packet.dts is not None:
                    packet.stream = stream
                    new.mux(packet)
        plain.unlink()
    assert [track.id for track in list_tracks(tmp_path, "tag").tracks] == ["id-0", "id-1"]
    assert read_tag(tmp_path / "tagged.mp3", "isrc") == ""
    with pytest.raises(DataError, match=r"some files have no tag 'isrc' \(2 in all"):
        list_tracks(tmp_path, "tag:isrc")


def test_a_written_manifest_is_the_folder(albums: Path, tmp_path: Path) -> None:
    write_wav(albums / 'a, "b".wav', levels(0.7), RATE, "f32")
    write_wav(albums / "007.wav", levels(0.8), RATE, "f32")
    manifest_of(albums, tmp_path).write_csv(tmp_path / "albums.csv")
    from_table = {track.id: track.path.resolve() for track in list_tracks(tmp_path / "albums.csv").tracks}
    assert from_table == {track.id: track.path.resolve() for track in list_tracks(albums).tracks}
    assert "007" in from_table
    write(albums / "007.flac", 0.1 * np.ones(100), 8000)  # equal but for the suffix
    with pytest.raises(DataError, match="timbrec manifest"):
        list_tracks(albums)
    assert {"007.wav", "007.flac"} <= set(manifest_of(albums, tmp_path)["id"])
    write_wav(albums / "two\nlines.wav", levels(0.8), RATE, "f32")
    with pytest.raises(DataError, match=r"control characters.*\(1 in all, e\.g\. .*two\\\\nlines"):
        manifest_of(albums, tmp_path)


def test_other_files_are_counted(music: Path, tmp_path: Path) -> None:
    (music / "song.mid").write_bytes(b"MThd")
    (music / "notes").touch()
    (music / "linked").symlink_to(music / "album")
    report = embed(music, Moments(), tmp_path / "s")
    assert report.aside == {".jpg": 1, ".mid": 1, "no suffix": 1, "linked folder": 1, "hidden": 1}


# Failures and remarks


def test_a_failed_file_is_known_and_not_decoded_until_it_changes(
    music: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (music / "bad.mp3").write_text("la la la")
    first = embed(music, Moments(), tmp_path / "s")
    names = decoded(monkeypatch)
    again = embed(music, Moments(), tmp_path / "s")
    assert reasons(again) == reasons(first) == {"bad": "it is text, which is not read"}
    assert again.failures["fix"][0].startswith("Get it again, convert it")
    assert (again.done, again.skipped) == (0, 5)
    (music / "bad.mp3").rename(music / "worse.mp3")  # the same bytes
    assert reasons(embed(music, Moments(), tmp_path / "s")) == {"worse": "it is text, which is not read"}
    assert names == []
    embed_all(music, [Output(Moments(), tmp_path / "s")], retry=True)
    assert names == ["worse.mp3"]
    write_wav(music / "worse.mp3", levels(0.9), RATE, "f32")
    healed = embed(music, Moments(), tmp_path / "s")
    assert (healed.done, len(healed.failures)) == (1, 0)


def test_an_encoders_failure_is_known_and_its_own(music: Path, tmp_path: Path) -> None:
    write_wav(music / "short.wav", np.array([0.5, -0.5]), RATE, "f32")
    embed(music, Moments(), tmp_path / "s")
    encoder = Moments()
    report = embed(music, encoder, tmp_path / "s")
    assert encoder.batches == []
    assert report.failures.select("id", "encoder", "reason").rows() == [("short", "moments", "too short for moments")]


def test_remarks_stay_known_also_of_renamed_files(music: Path, tmp_path: Path) -> None:
    write_wav(music / "loud.mp3", 40 * levels(0.1, 0.2), RATE, "f32")
    reason = "its peak is 8 times full scale"
    for run in range(2):
        report = embed(music, Moments(), tmp_path / "s")
        assert report.done == (6 if run == 0 else 0)
        assert set(report.remarks["reason"]) == {"it is named .mp3, but its content is wav", reason}
    (music / "loud.mp3").rename(music / "loud.wav")
    assert embed(music, Moments(), tmp_path / "s").remarks.select("id", "reason").rows() == [("loud", reason)]


def test_torn_notes_lose_their_end_alone(tmp_path: Path) -> None:
    notes = Notes(tmp_path)
    for number in range(3):
        notes.set(Record(f"t{number}", 1, 2, "f", "r", (Note(True, False, "it is broken", "Mend it."),)))
    notes.flush()
    content = (tmp_path / "notes.jsonl").read_bytes()
    (tmp_path / "notes.jsonl").write_bytes(content[:-5])
    assert list(Notes(tmp_path).records) == ["t0", "t1"]
    (tmp_path / "notes.jsonl").write_bytes(content)
    notes = Notes(tmp_path)
    notes.set(Record("t1", 1, 3, "g", "r", ()))
    notes.close()
    assert list(Notes(tmp_path).records) == ["t0", "t2"]
    assert (tmp_path / "notes.jsonl").read_bytes().count(b"\n") == 2


# Folders that share a store


def test_another_folder_takes_no_id_from_a_file_that_exists(music: Path, tmp_path: Path) -> None:
    embed(music, Moments(), tmp_path / "s")
    other = tmp_path / "other"
    other.mkdir()
    (other / "a.wav").write_text("broken")
    write_wav(other / "b.wav", levels(0.9), RATE, "f32")
    (other / "c.wav").write_bytes((music / "album/c.wav").read_bytes())  # a copy
    report = embed(other, Moments(), tmp_path / "s")
    assert set(reasons(report)) == {"a", "b"}
    assert reasons(report)["a"] == "it is text, which is not read"
    assert reasons(report)["b"].startswith("its id 'b' is that of ")
    assert "--ids path" in report.failures.filter(id="b")["fix"].item()
    assert_unchanged(tmp_path / "s")
    assert embed(music, Moments(), tmp_path / "s").skipped == 5
    for path in (music / "a.wav", music / "b.WAV"):
        path.unlink()
    embed(other, Moments(), tmp_path / "s", batch=1)
    assert vectors(tmp_path / "s")["b"][0] == pytest.approx(0.9)  # the id is free now


def test_a_moved_folder_keeps_its_ids(music: Path, tmp_path: Path) -> None:
    embed(music, Moments(), tmp_path / "s")
    moved = music.rename(tmp_path / "moved")
    assert embed(moved, Moments(), tmp_path / "s").skipped == 5
    write_wav(tmp_path / "a.wav", levels(0.9), RATE, "f32")
    (tmp_path / "one.csv").write_text("id,path\na,a.wav\n")
    assert "a" in reasons(embed(tmp_path / "one.csv", Moments(), tmp_path / "s"))
    assert_unchanged(tmp_path / "s")


def test_a_subset_depends_on_its_own_tracks_alone(music: Path, tmp_path: Path) -> None:
    embed(music / "album", Moments(), tmp_path / "album")
    embed(music, Moments(), tmp_path / "all")
    small, large = (VectorStore.open(tmp_path / name) for name in ("album", "all"))
    ids = ["c", "d d", "é", "nowhere"]
    within_small, within_large = Subset(small, ids), Subset(large, ids)
    assert within_small.digest == within_large.digest
    assert small.digest != large.digest
    assert (len(within_large), within_large.dim, within_large.zeros) == (3, 3, 0)
    assert within_large.has(["a", "c"]).tolist() == [False, True]
    np.testing.assert_array_equal(within_small.aligned(["é", "c"]), large.aligned(["é", "c"]))
    with pytest.raises(Exception, match=r"some ids have no vector \(1 in all, e.g. 'a'\)"):
        within_large.aligned(["a", "c"])
    assert Subset(large, ids[1:]).digest != within_large.digest


def world(tmp_path: Path) -> Path:
    """A config for a folder `sub` with every second track of its sibling `full`."""
    for number, track in enumerate(small_world.WORLD.events.items.ids[:60]):
        samples = np.random.default_rng(number).normal(0, 0.1, 4410)
        for folder in ("full", "sub")[: 2 - number % 2]:
            (tmp_path / folder).mkdir(exist_ok=True)
            write_wav(tmp_path / folder / f"{track}.wav", samples, 22_050, "f32")
    return small_world.write(tmp_path, encoders={"mfcc": {"audio": "sub"}})


def test_a_run_uses_the_tracks_of_its_own_folder(tmp_path: Path) -> None:
    path = world(tmp_path)
    alone = load_inputs(read_config(path))
    text = path.read_text()
    path.write_text(text.replace("audio: sub", "audio: full"))
    assert len(load_inputs(read_config(path)).catalogue) == 60
    path.write_text(text)
    after = load_inputs(read_config(path))
    assert len(after.catalogue) == len(alone.catalogue) == 30
    assert after.sources["mfcc"].digest == alone.sources["mfcc"].digest
    assert after.split.digest == alone.split.digest
    assert len(VectorStore.open(tmp_path / "vectors/mfcc")) == 60  # another run's vectors stay
    removed = next((tmp_path / "sub").iterdir())
    removed.unlink()
    assert len(load_inputs(read_config(path)).catalogue) == 29
    (tmp_path / "part.csv").write_text("id,path\n" + "".join(
        f"{file.stem},sub/{file.name}\n" for file in sorted((tmp_path / "sub").iterdir())[:20]))  # fmt: skip
    path.write_text(text.replace("audio: sub", "audio: part.csv"))
    assert len(load_inputs(read_config(path)).catalogue) == 20


def test_a_store_in_the_former_place_is_named(tmp_path: Path) -> None:
    path = world(tmp_path)
    (tmp_path / "library").mkdir()
    (tmp_path / "sub").rename(tmp_path / "library/sub")
    text = path.read_text().replace("audio: sub", "audio: library/sub")
    path.write_text(text)
    load_inputs(read_config(path))
    assert not (tmp_path / "library/vectors").exists()
    (tmp_path / "vectors").rename(tmp_path / "library/vectors")
    for encode in (True, False):
        with pytest.raises(ConfigError, match=r"mfcc: there is a store at .*library/vectors/mfcc.*`store: "):
            load_inputs(read_config(path), encode=encode)
    settings = yaml.safe_load(text)
    settings["encoders"]["mfcc"]["store"] = "library/vectors/mfcc"
    path.write_text(yaml.safe_dump(settings))
    assert len(load_inputs(read_config(path)).catalogue) == 30


# The command line


def run(*arguments: object, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> tuple[int, str]:
    """The exit code and the output of a command, without line breaks."""
    from timbrec.cli.main import main

    monkeypatch.setattr(sys, "argv", ["timbrec", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    captured = capsys.readouterr()
    return int(str(ended.value.code)), captured.out + captured.err


@pytest.mark.parametrize("options", [("--batch", -3), ("--batch", 0), ("--workers", -1), ("--device", "gpu"),
                                     ("--device", "cuda:99"), ("--device", "mps"), ("--count", 0),
                                     ("--windows", "middle"), ("--ids", "name"), ("--max-failures", -1)])  # fmt: skip
def test_options_out_of_range_are_one_line_before_any_work(
    music: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    options: tuple[str, object],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    code, output = run("embed", music, "-e", "mfcc", *options, capsys=capsys, monkeypatch=monkeypatch)
    assert (code, output.strip().count("\n")) == (2, 0), output
    assert not (tmp_path / "vectors").exists()


@pytest.mark.parametrize("device", ["gpu", "cuda:99"])
def test_every_command_and_the_library_check_the_device(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], device: str
) -> None:
    from timbrec.encoders import load

    code, output = run("check-encoder", "mfcc", "--device", device, capsys=capsys, monkeypatch=monkeypatch)
    assert (code, output.strip().count("\n")) == (2, 0), output
    with pytest.raises(ConfigError, match=r"device|GPU"):
        load("mfcc", device=device)


def test_batches_and_threads_are_checked_in_the_library(music: Path, tmp_path: Path) -> None:
    for options in ({"batch": 0}, {"workers": -1}):
        with pytest.raises(ConfigError, match="must be 1 or more"):
            embed_all(music, [Output(Moments(), tmp_path / "s")], **options)  # type: ignore[arg-type]
    assert not (tmp_path / "s").exists()


def test_lists_of_all_files_and_the_reason_of_the_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    (tmp_path / "music").mkdir()
    rng = np.random.default_rng(0)
    for number in range(25):
        write_wav(tmp_path / f"music/t{number}.mp3", rng.normal(0, 0.1, 4000), 8000)
    (tmp_path / "music/\x1b[31mred\n.wav").write_text("text")
    (tmp_path / "music/empty.wav").touch()
    for _ in range(2):
        code, output = run("embed", "music", "-e", "mfcc", capsys=capsys, monkeypatch=monkeypatch)
        assert code == 1
        assert "remarks: 25 x it is named" in output
        assert "failures: 1 x it is empty" in output
        assert "exit code 1: 2 files have no vector, more than --max-failures 0 allows\n" in output
        assert "\x1b[31m" not in output
        assert len(pl.read_csv("vectors/remarks.csv")) == 25
        failures = pl.read_csv("vectors/failures.csv")
        assert failures.columns == ["id", "path", "reason", "fix", "encoder"]
        assert len(failures) == 2
        assert failures["fix"].null_count() == 0
    code, output = run("embed", "music", "-e", "mfcc", "--max-failures", 2, capsys=capsys, monkeypatch=monkeypatch)
    assert code == 0
    assert "exit code 0: 2 files have no vector, no more than --max-failures 2 allows\n" in output
    (tmp_path / "music/empty.wav").unlink()
    _, output = run("embed", "music", "-e", "mfcc", capsys=capsys, monkeypatch=monkeypatch)
    assert "exit code 1: 1 file has no vector, more than" in output


def test_lists_that_cannot_be_written_are_one_line(
    music: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (music / "bad.mp3").touch()
    (tmp_path / "vectors/failures.csv/full").mkdir(parents=True)
    monkeypatch.setattr("shutil.rmtree", lambda *_, **__: pytest.fail("a folder was removed"))
    code, output = run("embed", music, "-e", "mfcc", capsys=capsys, monkeypatch=monkeypatch)
    assert code == 2
    assert re.search(r"timbrec: cannot write .*failures\.csv: .*\. The vectors are stored", output), output


def test_a_full_temporary_folder_is_one_line(
    music: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import errno

    from timbrec.audio import windows

    class Full:
        def write(self, _: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(windows, "TemporaryFile", Full)
    code, output = run("embed", music, "-e", "mfcc", "--windows", "all", capsys=capsys, monkeypatch=monkeypatch)
    assert code == 2
    assert "timbrec: cannot write into the temporary folder" in output
    assert "No space left on device. Set TMPDIR" in output


OWN = """
import numpy as np
from timbrec.protocols import EncoderCard

class Mine:
    card = EncoderCard(name="mine", revision="1", rate=8000, window=1.0, dim=2)
    def __init__(self, gain=1.0):
        self.gain = gain
    def encode(self, windows):
        return self.gain * np.stack([windows.mean(1), np.abs(windows).mean(1)], 1).astype(np.float32)
"""


def test_own_encoders_take_options(
    music: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(OWN)
    options = ("embed", music, "-e", "mine.py:Mine", "--set", "mine.py:Mine.gain=2.0", "--store", "s")
    assert run(*options, capsys=capsys, monkeypatch=monkeypatch)[0] == 0
    assert vectors(tmp_path / "s/mine")["c"][1] == pytest.approx(0.4, abs=0.01)


def test_the_manifest_command_overwrites_nothing(
    albums: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("manifest", "albums", capsys=capsys, monkeypatch=monkeypatch) == (0, "albums.csv: 3 tracks\n")
    assert pl.read_csv("albums.csv")["id"].to_list() == ["A/One/01 Intro", "B/Two/01 Intro", "B/Two/02 Song"]
    code, output = run("manifest", "albums", capsys=capsys, monkeypatch=monkeypatch)
    assert (code, "albums.csv exists already" in output) == (2, True)
