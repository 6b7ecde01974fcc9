"""A folder of music becomes a model; audio is added to it; recordings that are the same are found."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import polars as pl
import pytest
from filelock import FileLock
from mutagen import id3
from mutagen.wave import WAVE

import timbrec
from audio_files import write_wav
from commands import in_process
from timbrec.audio import Windows
from timbrec.cli.fit import show_model
from timbrec.cli.tables import write_table
from timbrec.data.vocabulary import Vocabulary
from timbrec.embed import embed
from timbrec.encoders import load
from timbrec.errors import CannotRankError, ConfigError, DataError, StoreError
from timbrec.models import from_music
from timbrec.models.catalogue import CATALOGUE, further_recordings, recordings
from timbrec.models.histories import matched_history
from timbrec.store import VectorStore

TIMBREC = Path(sys.executable).with_name("timbrec")
RATE = 22_050


def tone(number: int) -> np.ndarray:
    """A second of noise with a colour by number."""
    noise = np.random.default_rng(number).normal(0, 0.2, RATE)
    return np.convolve(noise, np.cos(np.arange(16) * number / 5) / 8, "same").astype(np.float32)


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("music")
    for number in range(8):
        write_wav(folder / f"Band {number % 3} - Song {number}.wav", tone(number), RATE)
    (folder / "broken.wav").write_bytes(b"RIFF....WAVE")
    return folder


@pytest.fixture(scope="module")
def fitted(music: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("models") / "model"
    result = timbrec.fit_music(music, out, encoder="mfcc")
    assert result.failures["path"].to_list() == [str(music / "broken.wav")]
    assert len(result.model.items) == 8
    return out


@pytest.fixture
def folder(fitted: Path, tmp_path: Path) -> Path:
    return shutil.copytree(fitted, tmp_path / "model")


def test_a_folder_of_music_gives_neighbours_by_standardised_vectors(music: Path, fitted: Path, tmp_path: Path) -> None:
    good = [path for path in sorted(music.iterdir()) if path.name != "broken.wav"]
    manifest = tmp_path / "audio.csv"
    pl.DataFrame({"id": [path.stem for path in good], "path": [str(path) for path in good]}).write_csv(manifest)
    embed(manifest, load("mfcc"), tmp_path / "store", Windows())
    vectors = VectorStore.open(tmp_path / "store").aligned([path.stem for path in good]).astype(np.float64)
    scaled = (vectors - vectors.mean(0)) / vectors.std(0)
    scaled /= np.linalg.norm(scaled, axis=1, keepdims=True)
    place = [path.stem for path in good].index("Band 2 - Song 2")
    order = np.argsort(-(scaled @ scaled[place]))[1:]
    similar = timbrec.Model.load(fitted).similar("Song 2", 7)
    assert similar["item"].to_list() == [good[row].stem for row in order]
    np.testing.assert_allclose(similar["score"], (scaled @ scaled[place])[order], atol=1e-4)
    assert similar["artist"].to_list() == [good[row].stem.split(" - ")[0] for row in order]


def test_added_audio_is_found_at_once_and_files_are_accounted_for(music: Path, folder: Path, tmp_path: Path) -> None:
    new = write_wav(tmp_path / "Band 9 - New.wav", tone(3) + 0.001 * tone(40), RATE)
    twin = write_wav(tmp_path / "under another name.wav", tone(5), RATE)
    again = shutil.copy(new, tmp_path / "new again.wav")
    broken = shutil.copy(music / "broken.wav", tmp_path / "cut.wav")
    result = timbrec.add_audio(folder, [new, twin, again, broken])
    assert result.added["id"].to_list() == ["Band 9 - New"]
    assert result.present.rows() == [(str(twin), "Band 2 - Song 5"), (str(again), "Band 9 - New")]
    assert result.failures["path"].to_list() == [str(broken)]
    loaded = timbrec.Model.load(folder)
    assert loaded.similar("Song 3", 1)["title"].to_list() == ["New"]
    assert loaded.recommend(seeds=["New"], k=1)["item"].to_list() == ["Band 0 - Song 3"]
    assert loaded.similar("Song 3").equals(result.model.similar("Song 3"))
    second = timbrec.add_audio(folder, write_wav(tmp_path / "second.wav", tone(60), RATE))
    assert second.added["id"].to_list() == ["second"]
    assert len(timbrec.Model.load(folder).items) == 10
    assert len(list(folder.glob("added-*"))) == 2, "earlier additions are in the same files"
    repeated = timbrec.add_audio(folder, [new, twin, again])
    assert repeated.added.is_empty()
    assert len(repeated.present) == 3


def test_a_file_with_the_name_of_a_known_track_gets_its_folder_before_it(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "Album").mkdir()
    file = write_wav(tmp_path / "Album" / "Band 0 - Song 0.wav", tone(70), RATE)
    assert timbrec.add_audio(folder, file).added["id"].to_list() == ["Album/Band 0 - Song 0"]


def test_two_additions_at_once_lose_nothing(folder: Path, tmp_path: Path) -> None:
    files = [write_wav(tmp_path / f"file {number}.wav", tone(80 + number), RATE) for number in range(2)]
    running = [
        subprocess.Popen([TIMBREC, "add", folder, file], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for file in files
    ]
    answers = [process.communicate() for process in running]
    for process, (_, message) in zip(running, answers, strict=True):
        assert process.returncode == 0 or "another command is adding to" in message
    for file in files:
        timbrec.add_audio(folder, file)
    assert {"file 0", "file 1"} < set(timbrec.Model.load(folder).items.ids)
    with FileLock(folder / ".lock"), pytest.raises(DataError, match="another command is adding"):
        timbrec.add_audio(folder, files)


def test_a_full_disk_leaves_the_model_as_it_was(folder: Path, tmp_path: Path) -> None:
    """A limit on the size of files stands for the disk: the vector fits, the tables do not."""
    file = write_wav(tmp_path / "new.wav", tone(90), RATE)
    before = timbrec.Model.load(folder).similar("Song 1")
    code = (
        "import resource, sys, timbrec\n"
        "from timbrec.models import adding\n"
        "write = adding.add_to_folder\n"
        "def full(*args):\n"
        "    resource.setrlimit(resource.RLIMIT_FSIZE, (600, 600))\n"
        "    write(*args)\n"
        "adding.add_to_folder = full\n"
        "try: timbrec.add_audio(*sys.argv[1:])\n"
        "except timbrec.TimbrecError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, folder, file], capture_output=True, text=True, env=os.environ)
    assert f"cannot write into {folder}" in done.stdout, done.stderr
    assert not list(folder.glob("*added*"))
    assert timbrec.Model.load(folder).similar("Song 1").equals(before)
    assert timbrec.add_audio(folder, file).added["id"].to_list() == ["new"]


def test_what_cannot_be_added_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="there is no audio in"):
        timbrec.fit_music(tmp_path / "empty", tmp_path / "out")
    with pytest.raises(DataError, match="does not exist"):
        timbrec.add_audio(folder, tmp_path / "missing.wav")
    with pytest.raises(DataError, match="there is no audio in"):
        timbrec.add_audio(folder, tmp_path / "empty")
    with pytest.raises(DataError, match="holds no model"):
        timbrec.add_audio(tmp_path / "empty", [folder])
    given = timbrec.fit(pl.DataFrame({"user": ["u"], "item": ["a"]}), (["a", "b"], np.eye(2, dtype=np.float32)))
    given.save(tmp_path / "given")
    with pytest.raises(CannotRankError, match="this model cannot encode audio"):
        timbrec.add_audio(tmp_path / "given", write_wav(tmp_path / "x.wav", tone(1), RATE))


def test_plays_of_an_export_are_matched_to_the_files(music: Path, tmp_path: Path) -> None:
    history = tmp_path / "plays.csv"
    rows = ["Band 0,,Song 0,01 Feb 2020 10:00", "BAND 1,,song 1,02 Feb 2020 10:00", "Nobody,,Nothing,03 Feb 2020 10:00"]
    history.write_text("\n".join(rows) + "\n")
    result = timbrec.fit_music(music, tmp_path / "model", encoder="mfcc", history=history)
    assert result.matched is not None
    assert result.matched.how["track"].drop_nulls().sort().to_list() == ["Band 0 - Song 0", "Band 1 - Song 1"]
    user = result.model.users.ids[0]
    listed = result.model.recommend(user, k=10)
    assert set(listed["item"]).isdisjoint({"Band 0 - Song 0", "Band 1 - Song 1"})
    assert len(listed) == 6
    seeds = result.model.recommend(seeds=["Song 0", "Song 1"], k=10)
    assert listed["item"].to_list() == seeds["item"].to_list()
    shown = in_process("recommend", "model", "--history", history, "-f", "json", cwd=tmp_path)
    assert shown.returncode == 0
    assert "2 of 3 recordings of plays.csv are tracks of the model" in shown.stderr
    assert [f'"item": "{item}"' in shown.stdout for item in listed["item"]] == [True] * 6


@pytest.mark.parametrize("untimed", [False, True])
def test_plays_with_odd_times_are_counted_as_those_of_any_log(music: Path, tmp_path: Path, untimed: bool) -> None:
    days = ["03 Feb 2020 10:00", "01 Feb 2020 10:00", "01 Jan 1970 00:00", "31 Dec 1899 10:00", "01 Feb 2999 10:00"]
    rows = [f"Band 0,,Song 0,{day}" for day in days] + ["Band 1,,Song 1,01 Jan 1990 00:00"]
    (tmp_path / "plays.csv").write_text("\n".join(rows) + "\n")
    (tmp_path / "likes.m3u").write_text("#EXTM3U\n#EXTINF:1,Band 1 - Song 1\nBand 1 - Song 1.wav\n")
    history = [tmp_path / "plays.csv", *([tmp_path / "likes.m3u"] if untimed else [])]
    model = timbrec.fit_music(music, tmp_path / "model", encoder="mfcc", history=history).model
    columns = {"user": ["me", "me"], "item": ["Band 0 - Song 0", "Band 1 - Song 1"], "plays": [2, 2 if untimed else 1]}
    times = {"first": [datetime(2020, 2, 1, 10), datetime(1990, 1, 1)]}
    played = model.played.frame().with_columns(
        user=model.users.ids.gather(pl.Series(model.played.user)),
        item=model.items.ids.gather(pl.Series(model.played.item)),
    )
    expected = columns if untimed else columns | times
    shown = played.with_columns(pl.col("^first$").cast(pl.Datetime("us"))).select(list(expected))
    assert shown.to_dict(as_series=False) == expected
    assert untimed == ("first" not in played.columns)


def test_plays_of_a_table_without_a_user_are_those_of_one_person(fitted: Path, tmp_path: Path) -> None:
    table = tmp_path / "ids.csv"
    table.write_text("user,track\nann,Band 0 - Song 0\n,Band 1 - Song 1\n")
    matched = matched_history([table], timbrec.Model.load(fitted).catalogue)
    assert matched.pairs.select("user", "track").rows() == [("ann", "Band 0 - Song 0"), ("me", "Band 1 - Song 1")]


def test_plays_of_files_without_a_vector_are_counted_apart(music: Path, tmp_path: Path) -> None:
    history = tmp_path / "plays.csv"
    rows = ["Band 0,,Song 0,01 Feb 2020 10:00", "Gone,,Broken,02 Feb 2020 10:00", "Nobody,,Nothing,03 Feb 2020 10:00"]
    history.write_text("\n".join(rows) + "\n")
    folder = tmp_path / "music"
    folder.mkdir()
    shutil.copy(music / "Band 0 - Song 0.wav", folder)
    shutil.copy(music / "broken.wav", folder / "Gone - Broken.wav")
    matched = timbrec.fit_music(folder, tmp_path / "model", encoder="mfcc", history=history).matched
    assert matched is not None
    assert dict(matched.how.select("title", "method").rows()) == {
        "Song 0": "names", "Broken": "no vector", "Nothing": "unmatched",
    }  # fmt: skip
    assert matched.pairs["track"].to_list() == ["Band 0 - Song 0"]
    assert matched.summary["plays"].to_list() == [1, 1, 1]
    history.write_text(rows[1] + "\n")
    with pytest.raises(DataError, match=r"no track of the history has a vector \(1 in all, e\.g\. 'Gone - Broken'\)"):
        timbrec.fit_music(folder, tmp_path / "other", encoder="mfcc", history=history)


def test_the_default_encoder_is_the_first_whose_weights_are_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> list[object]:
        if name.startswith("musicnn"):
            raise ConfigError("no weights")
        return []

    monkeypatch.setattr(from_music, "check_weights", absent)
    assert from_music.default_encoder() == ("mfcc", "it has no weights, and it is installed; musicnn-msd is not")


def tag(path: Path, frames: list[Any], version: int = 4) -> None:
    file: Any = WAVE(path)  # type: ignore[no-untyped-call]
    file.add_tags()
    for frame in frames:
        file.tags.add(frame)
    file.save(v2_version=version)


def test_release_years_come_from_tags(tmp_path: Path) -> None:
    dates: dict[str, list[Any]] = {
        "a": [id3.TDRC(text="1994-05-10")], "b": [id3.TYER(text="1971")], "c": [],  # type: ignore[no-untyped-call]
        "d": [id3.TDRC(text="2015"), id3.TDOR(text="1983")],  # type: ignore[no-untyped-call] # a later edition
    }  # fmt: skip
    (tmp_path / "music").mkdir()
    for number, (name, frames) in enumerate(dates.items()):
        path = write_wav(tmp_path / "music" / f"{name}.wav", tone(number), RATE)
        tag(path, frames, version=3 if name == "b" else 4)
    model = timbrec.fit_music(tmp_path / "music", tmp_path / "model", encoder="mfcc").model
    assert dict(model.catalogue.select("track", "year").iter_rows()) == {"a": 1994, "b": 1971, "c": None, "d": 1983}
    assert model.similar("c", since=1980, until=1994)["item"].sort().to_list() == ["a", "d"]
    late = write_wav(tmp_path / "e.wav", tone(9), RATE)
    tag(late, [id3.TDRC(text="2001")])  # type: ignore[no-untyped-call]
    assert timbrec.add_audio(tmp_path / "model", late).model.catalogue["year"].to_list()[-1] == 2001


def test_a_model_json_that_says_too_little_is_refused(folder: Path) -> None:
    facts = json.loads((folder / "model.json").read_text())
    files = {name: entry for name, entry in facts["files"].items() if name != "scorer.json"}
    wrong: list[Any] = [[1], {}, facts | {"card": None}, facts | {"files": []}, facts | {"files": files}]
    messages = (
        ["says nothing of a model"] * 2 + ["was changed after it was written"] * 2 + ["does not name scorer.json"]
    )
    for content, message in zip(wrong, messages, strict=True):
        (folder / "model.json").write_text(json.dumps(content))
        with pytest.raises(DataError, match=f"holds no readable model: model.json {message}"):
            timbrec.Model.load(folder)
    for cut in (b'{"format": 3, ', json.dumps(facts).encode().replace(b"mfcc", b"mf\x82c")):
        (folder / "model.json").write_bytes(cut)
        with pytest.raises(DataError, match=r"holds no readable model: model\.json is cut or damaged"):
            timbrec.Model.load(folder)
    (folder / "model.json").write_text(json.dumps(facts | {"card": facts["card"] | {"seed": 1}}))
    with pytest.raises(DataError, match=r"holds no readable model: model\.json was changed after it was written"):
        timbrec.Model.load(folder)
    del facts["sha256"]  # as earlier versions wrote it
    (folder / "model.json").write_text(json.dumps(facts))
    assert len(timbrec.Model.load(folder).items) == 8


def test_a_model_never_replaces_other_files(music: Path, fitted: Path, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "diary.txt").write_text("dear")
    model = timbrec.Model.load(fitted)
    for place in (music, tmp_path / "other", music / "broken.wav"):
        with pytest.raises(ConfigError, match=r"holds other files|is a file"):
            timbrec.fit_music(music, place, encoder="mfcc")
        with pytest.raises(ConfigError, match=r"holds other files|is a file"):
            model.save(place)
    assert (tmp_path / "other" / "diary.txt").read_text() == "dear"
    assert len(list(music.iterdir())) == 9
    (folder / "lists").mkdir()
    (folder / "lists" / "party.m3u").write_text("a song")
    timbrec.Model.load(folder).save(folder)
    assert (folder / "lists" / "party.m3u").read_text() == "a song", "what a user keeps beside a model stays"


def test_a_model_without_its_store_takes_no_audio(folder: Path, tmp_path: Path) -> None:
    shutil.rmtree(folder / "vectors")
    with pytest.raises(StoreError, match="no vector store"):
        timbrec.add_audio(folder, write_wav(tmp_path / "new.wav", tone(30), RATE))
    assert not (folder / "vectors").exists()


def test_a_store_that_lost_its_newest_state_takes_no_audio(folder: Path, tmp_path: Path) -> None:
    timbrec.add_audio(folder, write_wav(tmp_path / "new.wav", tone(30), RATE))
    store = next((folder / "vectors").iterdir())
    max(store.glob("manifest-*.json")).unlink()
    with pytest.raises(DataError, match=r"the vectors of 'mfcc' lack tracks of the model \(1 in all, e.g. 'new'\)"):
        timbrec.add_audio(folder, write_wav(tmp_path / "newer.wav", tone(50), RATE))


def test_a_store_with_a_changed_byte_takes_no_audio(folder: Path, tmp_path: Path) -> None:
    path = next((folder / "vectors").glob("*/*.npy"))
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.unlink()  # other folders may hold the same file
    path.write_bytes(content)
    before = sorted(file.name for file in path.parent.iterdir())
    with pytest.raises(StoreError, match=rf"not as they were written \(1 in all, e\.g\. '{path.name}'\)"):
        timbrec.add_audio(folder, write_wav(tmp_path / "new.wav", tone(30), RATE))
    assert sorted(file.name for file in path.parent.iterdir()) == before


def test_tables_of_ids_that_the_model_lacks_show_both_sides(fitted: Path, tmp_path: Path) -> None:
    table = tmp_path / "ids.csv"
    table.write_text("track\n17\n18\n17\n")
    with pytest.raises(
        DataError,
        match=r"the model has none of them \(2 in all, e\.g\. '17'\)\. An id of the model is 'Band 0 - Song 0'",
    ):
        matched_history([table], timbrec.Model.load(fitted).catalogue)


def test_an_export_is_matched_by_names_whatever_its_columns_are_called(fitted: Path, tmp_path: Path) -> None:
    table = tmp_path / "plays.csv"
    table.write_text("artist,track,date\nX,Band 0 - Song 0,2020-02-01 10:00\nBand 1,Song 1,2020-02-02 10:00\n")
    catalogue = timbrec.Model.load(fitted).catalogue
    matched = matched_history([table], catalogue)
    assert matched.pairs["track"].to_list() == ["Band 1 - Song 1"]
    with pytest.raises(DataError, match="'Nowhere/X' is no time zone"):
        matched_history([table], catalogue, "Nowhere/X")


def test_a_history_is_read_before_anything_is_encoded(music: Path, tmp_path: Path) -> None:
    nothing = tmp_path / "nothing.csv"
    nothing.write_text("artist,track,date\nX,Y,2020-02-01 10:00\n")
    for history, message in ((tmp_path / "none.csv", "does not exist"), (nothing, "no recording of the history")):
        with pytest.raises(DataError, match=message):
            timbrec.fit_music(music, tmp_path / "model", encoder="mfcc", history=history)
        assert not (tmp_path / "model").exists()


def test_tracks_are_named_by_paths_relative_or_of_a_moved_library(
    music: Path, fitted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(music.parent)
    model = timbrec.Model.load(fitted)
    expected = model.similar("Song 2")
    assert model.similar(f"{music.name}/Band 2 - Song 2.wav").equals(expected)
    moved = Path("/elsewhere", *music.parts[-2:])
    assert model.similar(str(moved / "Band 2 - Song 2.wav")).equals(expected)
    for other in (moved / "Band 2 - Song 22.wav", moved.parent / "x" / "Band 2 - Song 2.wav"):
        with pytest.raises(DataError, match="the model has no track"):
            model.similar(str(other))


def test_a_model_without_users_says_so_and_its_next_step_can_be_pasted(
    fitted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(DataError, match="knows no user: it was fitted without plays"):
        timbrec.Model.load(fitted).recommend("me")
    plays = pl.DataFrame({"user": ["-o'k"], "item": ["--a"]})
    cards = {"label": "knn", "why": "x"}
    model = timbrec.fit(plays, (["--a", "b"], np.eye(2, dtype=np.float32)))
    show_model(replace(model, card=model.card | cards), tmp_path / "a model")
    command = capsys.readouterr().out.splitlines()[-1].removeprefix("try: ")
    assert shlex.split(command) == ["timbrec", "recommend", str(tmp_path / "a model"), "--user=-o'k"]
    alone = replace(model, users=Vocabulary([]), card=model.card | cards)
    show_model(alone, tmp_path / "a model")
    command = capsys.readouterr().out.splitlines()[-1].removeprefix("try: ")
    assert shlex.split(command) == ["timbrec", "similar", str(tmp_path / "a model"), "--", "--a"]


OWN = """
import numpy as np
from timbrec.protocols import EncoderCard


class Loudness:
    card = EncoderCard("loudness", "1", rate=8000, window=0.5, dim=2)

    def __init__(self, weights):
        self.gain = float(open(weights).read())

    def encode(self, windows):
        return np.stack([windows.std(1), np.abs(windows).max(1)], 1).astype(np.float32) * self.gain
"""


def test_weights_are_remembered_and_may_move(music: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own.py").write_text(OWN)
    (tmp_path / "gain.txt").write_text("2")
    monkeypatch.chdir(tmp_path)
    timbrec.fit_music(music, "model", encoder="own.py:Loudness", weights="gain.txt")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    new = [write_wav(tmp_path / f"new {number}.wav", tone(20 + number), RATE) for number in range(2)]
    assert len(timbrec.add_audio(tmp_path / "model", new[0]).added) == 1
    (tmp_path / "gain.txt").rename("gain.txt")
    with pytest.raises(ConfigError, match="cannot be created"):
        timbrec.add_audio(tmp_path / "model", new[1])
    added = in_process("add", tmp_path / "model", new[1], "--weights", "gain.txt", cwd=tmp_path / "elsewhere")
    assert added.returncode == 0
    assert "1 track added" in added.stdout
    with pytest.raises(ConfigError, match="weights were given without their encoder"):
        timbrec.fit_music(music, "other", weights="gain.txt")


def test_a_time_zone_is_for_histories_with_clock_times(music: Path, fitted: Path, tmp_path: Path) -> None:
    apple = tmp_path / "plays.csv"
    rows = ["Band 0,,Song 0,01 Feb 2020 10:00", "Band 1,,Song 1,02 Feb 2020 10:00"]
    apple.write_text("\n".join(rows) + "\n")
    catalogue = timbrec.Model.load(fitted).catalogue
    plain, moved = (matched_history([apple], catalogue, zone).pairs["time"] for zone in (None, "Asia/Tokyo"))
    assert (plain - moved).unique().to_list() == [timedelta(hours=9)]
    ids = tmp_path / "ids.csv"
    ids.write_text("track\nBand 0 - Song 0\n")
    with pytest.raises(ConfigError, match="a table of track ids, whose times are not read"):
        matched_history([ids], catalogue, "Asia/Tokyo")
    with pytest.raises(ConfigError, match="the time zone has no name"):
        matched_history([apple], catalogue, "")
    refused = in_process("recommend", fitted, "--seed", "Song 1", "--time-zone", "Asia/Tokyo", cwd=tmp_path)
    assert "--time-zone goes with --history" in refused.stderr


def catalogue(*rows: dict[str, object]) -> pl.DataFrame:
    named = [{"track": f"t{place}"} | row for place, row in enumerate(rows)]
    return pl.DataFrame(named, infer_schema_length=None).match_to_schema(
        CATALOGUE, missing_columns="insert", integer_cast="upcast"
    )


def test_the_same_recording_by_ids_names_and_lengths_but_not_live_or_remastered() -> None:
    song = {"artist": "Björk", "title": "Hunter!", "duration_s": 200.0}
    table = catalogue(
        song,
        song | {"artist": "BJORK", "title": "hunter", "duration_s": 201.5},  # the same by its name
        song | {"duration_s": 230.0},  # another length
        song | {"title": "Hunter (Live)"},
        song | {"title": "Hunter", "album": "Homogenic (2020 Remaster)"},
        song | {"duration_s": None},  # without a length, a name proves nothing
        {"mbid": "m1", "title": "x"}, {"mbid": "m1", "title": "other spelling"},
        {"mbid": "m1", "title": "x (Remastered)"},  # MusicBrainz gives remasters the same id
        {"isrc": "i1"}, {"isrc": "i1"},
        {"audio": "a"}, {"audio": "a", "title": "live"},  # the same samples
        song | {"artist": "Simon & Garfunkel"}, song | {"artist": "Simon and Garfunkel"},
        song | {"artist": "か"}, song | {"artist": "が"},  # a mark of a kana is another sound, not an accent
        {"mbid": "m2", "isrc": "i2"}, {"isrc": "i2", "audio": "b"}, {"audio": "b"},  # a chain
    )  # fmt: skip
    expected = [0, 0, 2, 3, 4, 5, 6, 6, 8, 9, 9, 11, 11, 13, 13, 15, 16, 17, 17, 17]
    assert recordings(table).tolist() == expected
    for cut in (1, 7, 14):
        grown = further_recordings(table[:cut], recordings(table[:cut]), table[cut:])
        assert pl.Series(grown).rank("dense").to_list() == pl.Series(expected).rank("dense").to_list()


def test_a_list_that_cannot_be_written_is_one_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StoreError, match=r"cannot write .*x\.csv: No such file or directory\. The model is complete\."):
        write_table(pl.DataFrame({"a": [1]}), tmp_path / "gone" / "x.csv", fix="The model is complete.")
    full = pl.exceptions.ComputeError("parquet: underlying IO error: No space left on device (os error 28)")
    monkeypatch.setattr(pl.DataFrame, "write_parquet", Mock(side_effect=full))
    with pytest.raises(StoreError, match=r"x.parquet: No space left on device\. Choose"):
        write_table(pl.DataFrame({"a": [1]}), tmp_path / "x.parquet")
    write_table(pl.DataFrame({"a": [1, 2], "b": ["x\ty", None]}), tmp_path / "x.tsv")
    assert pl.read_csv(tmp_path / "x.tsv", separator="\t").rows() == [(1, "x\ty"), (2, None)]
    assert [path.name for path in tmp_path.iterdir()] == ["x.tsv"]
