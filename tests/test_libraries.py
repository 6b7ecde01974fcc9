"""Folders of music as catalogues, and the command that matches histories with them."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import mutagen
import numpy as np
import polars as pl
import pytest
from mutagen import id3, mp4

from audio_files import sine, write
from timbrec.audio.tags import Tags, read_tag, read_tags
from timbrec.cli.app import run
from timbrec.errors import ConfigError, DataError
from timbrec.histories import library, read_catalogue
from timbrec.histories.library import names_of
from timbrec.histories.tagging import tags_of

MBID = "8f3471b5-7e6a-48da-86a9-c1c07a0f47ae"
RATE = 16_000


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of tags for each test."""
    cache = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    return cache


@pytest.fixture(scope="session")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """An untagged second of sound by suffix."""
    folder = tmp_path_factory.mktemp("sounds")
    wave = sine(440, RATE, 1.0)
    return {suffix: write(folder / f"tone{suffix}", wave, RATE) for suffix in (".mp3", ".flac", ".m4a", ".wma", ".wv")}


def tagged(path: Path) -> Path:
    """Write the tags that a tagger writes into a file, in the way of its kind."""
    file: Any = mutagen.File(path)
    if file.tags is None:
        file.add_tags()
    tags = file.tags
    if path.suffix == ".mp3":
        for frame in (
            id3.TPE1(text=["A", "B"]), id3.TPE2(text="A"), id3.TIT2(text="Öne"), id3.TALB(text="Album"),  # type: ignore[no-untyped-call]
            id3.TSRC(text="GBAYE0601498"), id3.UFID(owner="http://musicbrainz.org", data=MBID.encode()),  # type: ignore[no-untyped-call]
            id3.TXXX(desc="Other", text="x" * 50), id3.TXXX(desc="Acoustid Id", text="c1"),  # type: ignore[no-untyped-call]
        ):  # fmt: skip
            tags.add(frame)
    elif path.suffix == ".m4a":
        free = {"MusicBrainz Track Id": MBID, "ISRC": "GBAYE0601498", "Acoustid Id": "c1"}
        tags.update({"\xa9ART": ["A", "B"], "aART": ["A"], "\xa9nam": ["Öne"], "\xa9alb": ["Album"]})
        tags.update({f"----:com.apple.iTunes:{name}": mp4.MP4FreeForm(value.encode()) for name, value in free.items()})  # type: ignore[no-untyped-call]
    elif path.suffix == ".wma":
        tags.update({"Author": ["A", "B"], "WM/AlbumArtist": ["A"], "Title": ["Öne"], "WM/AlbumTitle": ["Album"]})
        tags.update({"MusicBrainz/Track Id": [MBID], "WM/ISRC": ["GBAYE0601498"], "Acoustid/Id": ["c1"]})
    else:
        artist = "Album Artist" if path.suffix == ".wv" else "albumartist"
        tags.update({"artist": ["A", "B"], artist: "A", "title": "Öne", "album": "Album"})
        tags.update({"musicbrainz_trackid": MBID, "isrc": "GBAYE0601498", "acoustid_id": "c1"})
    file.save()
    return path


@pytest.mark.parametrize("suffix", [".mp3", ".flac", ".m4a", ".wma", ".wv"])
def test_tags_of_every_kind_of_file_are_read(sounds: dict[str, Path], tmp_path: Path, suffix: str) -> None:
    path = tagged(Path(shutil.copy(sounds[suffix], tmp_path)))
    tags = read_tags(path)
    assert tags is not None
    assert tags[:7] == Tags("A; B", "A", "Öne", "Album", MBID, "GBAYE0601498", "c1")[:7]
    assert tags.duration_s == pytest.approx(1.0, abs=0.1)
    assert read_tag(path, "title") == "Öne", "FFmpeg reads the same"


def test_files_without_tags_and_damaged_ones(sounds: dict[str, Path], tmp_path: Path) -> None:
    bare = read_tags(sounds[".flac"])
    assert bare is not None
    assert bare[:7] == (None,) * 7
    for content in (b"", b"no audio at all", sounds[".flac"].read_bytes()[:30]):
        (tmp_path / "x.flac").write_bytes(content)
        assert read_tags(tmp_path / "x.flac") is None
    assert read_tags(tmp_path / "missing.mp3") is None


@pytest.mark.parametrize(
    ("stem", "names"),
    [
        ("01 - Some Artist - Some Title", ("Some Artist", "Some Title")),
        ("1-03 Artist - Title - Live", ("Artist", "Title - Live")),
        ("Artist_Name_-_The_Title", ("Artist Name", "The Title")),
        ("7 Seconds", (None, None)),
        ("track01", (None, None)),
        (" - Title", (None, None)),
    ],
)
def test_names_come_from_file_names(stem: str, names: tuple[str | None, str | None]) -> None:
    assert names_of(stem) == names


def music(folder: Path, sound: Path) -> Path:
    """A library of four files: one tagged, one named, one nameless, one damaged."""
    for name in ("A/Album/01 One.flac", "B - Two.flac", "track03.flac", "broken.flac"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(sound, folder / name)
    tagged(folder / "A/Album/01 One.flac")
    (folder / "broken.flac").write_bytes(b"x")
    return folder


def test_a_folder_is_a_catalogue(sounds: dict[str, Path], tmp_path: Path) -> None:
    table = library(music(tmp_path / "m", sounds[".flac"]))
    assert table.select("track", "path", "artist", "title", "album", "source", "readable").rows() == [
        ("01 One", "A/Album/01 One.flac", "A; B", "Öne", "Album", "tags", True),
        ("B - Two", "B - Two.flac", "B", "Two", None, "file name", True),
        ("broken", "broken.flac", None, None, None, "none", False),
        ("track03", "track03.flac", None, None, None, "none", True),
    ]
    assert library(tmp_path / "m", "path")["track"].to_list() == ["A/Album/01 One", "B - Two", "broken", "track03"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="there is no audio"):
        library(tmp_path / "empty")


def test_only_changed_files_are_read_again(
    sounds: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_cache: Path
) -> None:
    folder = music(tmp_path / "m", sounds[".flac"])
    first = library(folder)
    read: list[str] = []

    def reading(path: Path) -> Tags | None:
        read.append(path.name)
        return read_tags(path)

    monkeypatch.setattr("timbrec.histories.tagging.read_tags", reading)
    assert library(folder).equals(first)
    assert read == []
    tagged(folder / "track03.flac")
    assert library(folder)["title"].to_list() == ["Öne", "Two", None, "Öne"]
    assert read == ["track03.flac"]
    for file in own_cache.rglob("*.parquet"):
        file.write_bytes(b"damaged")
    library(folder)
    assert len(read) == 5


def test_several_processes_read_as_one(
    sounds: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = music(tmp_path / "m", sounds[".flac"])
    odd = folder / os.fsdecode(b"caf\xe9\nx.flac")
    shutil.copy(folder / "A/Album/01 One.flac", odd)
    paths = [*sorted(folder.rglob("*.flac")), tmp_path / "missing.flac"]
    alone = tags_of(paths)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "other"))
    monkeypatch.setattr("timbrec.histories.tagging._FEW", 2)
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    calls: list[tuple[str, int, int]] = []
    assert tags_of(paths, lambda *call: calls.append(call)).equals(alone)
    assert calls[-1] == ("reading tags", 6, 6)
    expected = [path.name not in ("broken.flac", "missing.flac") for path in paths]
    assert alone["readable"].to_list() == expected


def test_a_table_is_a_catalogue(tmp_path: Path) -> None:
    path = tmp_path / "tracks.csv"
    path.write_text("id,artist,title,year\n1,A,One,1999\n2,B,Two,2000\n")
    assert read_catalogue(path).rows() == [("1", "A", "One"), ("2", "B", "Two")]
    path.write_text("artist,title\nA,One\n")
    with pytest.raises(DataError, match="no column of track ids"):
        read_catalogue(path)
    path.write_text("track_id,year\n1,1999\n")
    with pytest.raises(DataError, match="names no recordings"):
        read_catalogue(path)


def scrobbles(path: Path, *names: tuple[str, str]) -> Path:
    rows = [f"{1_700_000_000 + 86_400 * day},{artist},{title}" for day, (artist, title) in enumerate(names)]
    path.write_text("uts,artist,track\n" + "\n".join(rows) + "\n", encoding="utf-8")
    return path


class TestCommand:
    def test_a_log_and_the_matches_are_written(
        self, sounds: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        export = scrobbles(tmp_path / "s.csv", ("A", "Öne"), ("B", "two"), ("C", "Three"), ("B", "Two"))
        out = tmp_path / "plays.parquet"
        run(["history", str(export), "--music", str(music(tmp_path / "m", sounds[".flac"])), "--out", str(out)])
        log = pl.read_parquet(out)
        assert log.columns == ["user_id", "track_id", "timestamp", "plays"]
        assert log["track_id"].to_list() == ["01 One", "B - Two", "B - Two"]
        matches = pl.read_csv(tmp_path / "plays.matches.csv")
        assert set(matches.select("title", "method", "plays").rows()) == {
            ("two", "names", 1), ("Two", "names", 1), ("Öne", "names", 1), ("Three", "unmatched", 1),
        }  # fmt: skip
        shown = capsys.readouterr().out
        for part in ("importer: lastfm", "names", "unmatched: C – Three (1 play; nearest track: none)", "75.0%",
                     "files that cannot be read: 1, e.g. broken.flac", "3 plays of 2 tracks by 1 user"):  # fmt: skip
            assert part in shown

    def test_what_cannot_be_done_is_said_before_anything_is_read(self, tmp_path: Path) -> None:
        export = scrobbles(tmp_path / "s.csv", ("A", "One"))
        table = tmp_path / "t.csv"
        table.write_text("track,artist,title\n1,A,One\n")
        taken = tmp_path / "taken.csv"
        taken.touch()
        for arguments, message in [
            (["--out", "x.csv"], "either --music or --catalogue"),
            (["--catalogue", str(table), "--out", str(taken)], "exists already"),
            (["--catalogue", str(table), "--out", str(tmp_path / "x.xlsx")], "no kind that can be written"),
            (["--catalogue", str(table), "--out", str(tmp_path / "no" / "x.csv")], "there is no folder"),
        ]:
            with pytest.raises(ConfigError, match=message):
                run(["history", str(export), *arguments])
        assert not (tmp_path / "x.csv").exists()

    def test_nothing_is_written_where_nothing_matches(self, tmp_path: Path) -> None:
        export, table = scrobbles(tmp_path / "s.csv", ("A", "One")), tmp_path / "t.csv"
        table.write_text("track,artist,title\n1,B,Two\n")
        with pytest.raises(DataError, match=r"'A – One'.*'B – Two'"):
            run(["history", str(export), "--catalogue", str(table), "--out", str(tmp_path / "plays.csv")])
        assert {path.name for path in tmp_path.iterdir()} == {"s.csv", "t.csv"}

    def test_plays_without_a_time(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        listens = [{"listened_at": 1_700_000_000, "track_metadata": {"artist_name": "A", "track_name": "One"}}]
        export, table = tmp_path / "l.jsonl", tmp_path / "t.tsv"
        export.write_text(json.dumps(listens[0]) + "\n")
        table.write_text("track\tartist\ttitle\n1\tA\tOne\n")
        run(["history", str(export), "--catalogue", str(table), "--out", str(tmp_path / "plays.tsv")])
        assert (tmp_path / "plays.tsv").read_text().splitlines()[1].split("\t")[:2] == ["me", "1"]
        assert np.char.find(capsys.readouterr().out, "split: {test_at: 2023-11-14}") >= 0

    def test_importers_can_be_listed(self, capsys: pytest.CaptureFixture[str]) -> None:
        run(["list", "importers"])
        shown = capsys.readouterr().out
        assert "listenbrainz.org, Settings" in shown
        assert "mfcc" not in shown
        with pytest.raises(ConfigError, match="Did you mean 'importers'"):
            run(["list", "importer"])
