"""Importers of further sources, each on a file of a few lines in its layout."""

from __future__ import annotations

import io
import json
import sqlite3
import zipfile
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from timbrec.errors import ConfigError, DataError
from timbrec.histories import load_history, match, read_history

MBID = "8f3471b5-7e6a-48da-86a9-c1c07a0f47ae"


def database(path: Path, script: str) -> Path:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(script)
    return path


class TestAppleMusic:
    HEADER = (
        "Age Bucket,Album Name,Client IP Address,Device Identifier,End Reason Type,Event End Timestamp,"
        "Event Start Timestamp,Event Type,Media Duration In Milliseconds,Media Type,Play Duration Milliseconds,"
        "Song Name"
    )
    ROWS = (
        'x,"Album, The",192.0.2.1,secret,NATURAL_END_OF_TRACK,2023-01-15T14:30:00Z,2023-01-15T14:27:00.5Z,PLAY_END,'
        "200000,AUDIO,180000,One",
        "x,,192.0.2.1,secret,,2023-01-15T15:00:00Z,,PLAY_END,100000,AUDIO,60000,Two",
        "x,,192.0.2.1,secret,,2023-01-15T15:10:00Z,2023-01-15T15:09:00Z,PLAY_START,100000,AUDIO,60000,Two",
        "x,,192.0.2.1,secret,,2023-01-15T15:20:00Z,2023-01-15T15:19:00Z,PLAY_END,100000,VIDEO,60000,Clip",
        "x,,192.0.2.1,secret,,2023-01-15T16:00:00Z,2023-01-15T15:55:00Z,PLAY_END,300000,AUDIO,290000,Three",
    )
    DAILY = "Country,Track Identifier,Date Played,Play Count,Track Description\nAT,1,20230115,1,A - One\n" + (
        "AT,2,20230115,1,B - Three\nAT,3,20230115,1,C - Three\n"
    )
    LIBRARY = ({"Content Type": "Song", "Title": "Two", "Artist": "B", "Album": "Alb"},)

    def archive(self, folder: Path) -> Path:
        inner = io.BytesIO()
        with zipfile.ZipFile(inner, "w") as archive:
            place = "Apple_Media_Services/Apple Music Activity/"
            archive.writestr(place + "Apple Music Play Activity.csv", "\n".join([self.HEADER, *self.ROWS]) + "\n")
            archive.writestr(place + "Apple Music - Play History Daily Tracks.csv", self.DAILY)
            archive.writestr(place + "Apple Music Library Tracks.json", json.dumps(self.LIBRARY))
        path = folder / "Apple Media Services information.zip"
        with zipfile.ZipFile(path, "w") as outer:
            outer.writestr("Apple_Media_Services.zip", inner.getvalue())
        return path

    def test_plays_and_their_artists(self, tmp_path: Path) -> None:
        history = load_history(self.archive(tmp_path))
        assert history.importers == ("apple-music",)
        assert history.plays.select("time", "artist", "title", "album", "played_s", "duration_s").rows() == [
            (datetime(2023, 1, 15, 14, 27, 0, 500_000), "A", "One", "Album, The", 180.0, 200.0),
            (datetime(2023, 1, 15, 14, 59), "B", "Two", None, 60.0, 100.0),
            (datetime(2023, 1, 15, 15, 55), None, "Three", None, 290.0, 300.0),
        ]
        assert {reason: count for reason, count in history.dropped.items() if count} == {
            "events other than the end of a play": 1, "videos": 1,
        }  # fmt: skip
        assert history.notes == ("1 plays have no artist, since no file of the export names it",)
        assert "192.0.2.1" not in str(history.plays.to_dicts())


def watched(title: str, artist: str | None, header: str = "YouTube Music", **more: Any) -> dict[str, Any]:
    row = {"header": header, "title": title, "titleUrl": "https://music.youtube.com/watch?v=1",
           "time": "2024-05-01T15:30:00.123Z", "products": ["YouTube"]}  # fmt: skip
    channel = {"name": artist, "url": "https://www.youtube.com/channel/UC1"}
    return row | ({} if artist is None else {"subtitles": [channel]}) | more


class TestYouTubeMusic:
    def written(self, folder: Path, *rows: dict[str, Any]) -> Path:
        path = folder / "Takeout" / "YouTube and YouTube Music" / "history"
        path.mkdir(parents=True)
        (path / "watch-history.json").write_text(json.dumps(rows), encoding="utf-8")
        return folder

    def test_plays_of_music_alone(self, tmp_path: Path) -> None:
        history = load_history(
            self.written(
                tmp_path, watched("Watched Some Song", "Some Artist - Topic"),
                watched("Watched A Talk", "B", "YouTube"),
                watched("Watched https://music.youtube.com/watch?v=2", None),
            )
        )  # fmt: skip
        assert history.importers == ("youtube-music",)
        assert history.plays.select("time", "artist", "title").rows() == [
            (datetime(2024, 5, 1, 15, 30, 0, 123_000), "Some Artist", "Some Song")
        ]
        assert history.dropped["videos outside YouTube Music"] == 1
        assert history.dropped["removed or without a channel"] == 1

    @pytest.mark.parametrize("words", ["{} angesehen", "Visto {}"])
    def test_other_languages(self, tmp_path: Path, words: str) -> None:
        times = [{"time": f"2024-05-01T15:3{minute}:00Z"} for minute in range(4)]
        titles = ["Anti-Hero", "Blue", "Creep", "Dance Again"]
        rows = [watched(words.format(title), "A", **time) for title, time in zip(titles, times, strict=True)]
        assert read_history(self.written(tmp_path, *rows))["title"].to_list() == titles


class TestJellyfin:
    USER, ITEM = "1" * 32, "2" * 32

    def test_a_database_and_a_backup_give_the_same_plays(self, tmp_path: Path) -> None:
        rows = [
            ("2025-01-06 20:10:00.000", "Audio", "A - One - Live (Album (Deluxe))", 180),
            ("2025-01-06 21:10:00.000", "Movie", "A Film", 3600),
            ("2025-01-06 22:10:00.000", "Audio", "Not Known - Two (Not Known)", 200),
        ]
        values = ", ".join(f"('{time}', '{self.USER}', '{self.ITEM}', '{kind}', '{name}', 'x', 'y', 'z', {played})"
                           for time, kind, name, played in rows)  # fmt: skip
        columns = (
            "DateCreated, UserId, ItemId, ItemType, ItemName, PlaybackMethod, ClientName, DeviceName, PlayDuration"
        )
        path = database(
            tmp_path / "playback_reporting.db",
            f"CREATE TABLE PlaybackActivity ({columns}); INSERT INTO PlaybackActivity VALUES {values};",
        )
        history = load_history(path)
        assert history.importers == ("jellyfin",)
        assert history.plays.select("user", "time", "artist", "title", "album", "played_s").rows() == [
            (self.USER, datetime(2025, 1, 6, 20, 10), "A", "One - Live", "Album (Deluxe)", 180.0),
            (self.USER, datetime(2025, 1, 6, 22, 10), None, "Two", None, 200.0),
        ]
        assert history.dropped["items that are no audio"] == 1
        backup = tmp_path / "PlaybackReportingBackup.tsv"
        lines = ["\t".join(map(str, (time, self.USER, self.ITEM, kind, name, "x", "y", "z", played)))
                 for time, kind, name, played in rows]  # fmt: skip
        backup.write_text("\n".join(lines) + "\n")
        assert read_history(backup).equals(history.plays)
        assert load_history(backup, time_zone="Europe/Vienna").plays["time"][0] == datetime(2025, 1, 6, 19, 10)


class TestSubsonic:
    def test_songs_that_were_played_starred_or_listed(self, tmp_path: Path) -> None:
        song = {"isDir": False, "artist": "A", "album": "Album", "duration": 200, "path": "A/Album/01.mp3"}
        answer = {
            "starred2": {"song": [
                song | {"id": "1", "title": "One", "playCount": 3, "played": "2024-01-01T10:00:00.5Z", "isrc": ["X"],
                        "musicBrainzId": MBID, "starred": "2023-01-01T00:00:00Z"},
                song | {"id": "2", "title": "Two", "starred": "2023-01-01T00:00:00Z"},
                song | {"id": "4", "title": "Four"}],
                "album": [{"id": "a", "name": "Album"}]},
            "playlist": {"id": "p", "name": "List", "entry": [song | {"id": "3", "title": "Three"}]},
        }  # fmt: skip
        path = tmp_path / "starred.json"
        path.write_text(json.dumps({"subsonic-response": {"status": "ok", "version": "1.16.1"} | answer}))
        history = load_history(path)
        assert history.importers == ("subsonic",)
        assert history.plays.select("time", "title", "mbid", "isrc", "path", "plays").rows() == [
            (datetime(2023, 1, 1), "Two", None, None, "A/Album/01.mp3", 1),
            (datetime(2024, 1, 1, 10, 0, 0, 500_000), "One", MBID, "X", "A/Album/01.mp3", 3),
            (None, "Three", None, None, "A/Album/01.mp3", 1),
        ]
        path.write_text('{"subsonic-response": {"status": "ok"}}')
        with pytest.raises(DataError, match="no song that was played"):
            read_history(path)


class TestPlex:
    def test_the_servers_database(self, tmp_path: Path) -> None:
        path = database(
            tmp_path / "com.plexapp.plugins.library.db",
            """
            CREATE TABLE accounts (id integer, name text);
            CREATE TABLE metadata_item_views (account_id integer, guid text, metadata_type integer, title text,
              parent_title text, grandparent_title text, viewed_at integer);
            INSERT INTO accounts VALUES (1, 'ann');
            INSERT INTO metadata_item_views VALUES (1, 'plex://track/1', 10, 'One', 'Album', 'A', 1700000000),
              (1, 'plex://movie/1', 1, 'A Film', NULL, NULL, 1700000000);
            """,
        )
        history = load_history(path)
        assert history.importers == ("plex",)
        assert history.plays.select("user", "time", "artist", "title", "album", "source_id").rows() == [
            ("ann", datetime(2023, 11, 14, 22, 13, 20), "A", "One", "Album", "plex://track/1")
        ]
        assert history.dropped["items that are no tracks"] == 1

    def test_a_table_of_tautulli(self, tmp_path: Path) -> None:
        path = tmp_path / "history.csv"
        path.write_text(
            "date,started,stopped,friendly_name,media_type,title,parent_title,grandparent_title,original_title\n"
            "1700000000,1700000000,1700000300,ann,track,One,Compilation,Various Artists,A\n"
            "1700000000,1700000100,1700000300,ann,track,Two,Album,B,\n"
            "1700000000,1700000000,1700000300,ann,movie,A Film,,,\n"
        )
        history = load_history(path)
        assert history.importers == ("plex",)
        assert history.plays.select("user", "time", "artist", "title", "album").rows() == [
            ("ann", datetime(2023, 11, 14, 22, 13, 20), "A", "One", "Compilation"),
            ("ann", datetime(2023, 11, 14, 22, 15), "B", "Two", "Album"),
        ]


class TestPlaylists:
    def test_m3u_and_jspf_are_likes(self, tmp_path: Path) -> None:
        (tmp_path / "a.m3u").write_text(
            "#EXTM3U\n#EXTINF:123,A - One - Live\nA/Album/01 One.mp3\nfile:///m/B/Two%20%26.flac\n"
            "#EXTINF:-1,Radio\nhttps://radio.example/stream\n",
            encoding="utf-8",
        )
        (tmp_path / "b.m3u").write_bytes("Jörg/01.mp3\n".encode("latin-1"))
        track = {"title": "Three", "creator": "C", "album": "X", "duration": 61_500,
                 "identifier": [f"https://musicbrainz.org/recording/{MBID.upper()}"]}  # fmt: skip
        (tmp_path / "c.jspf").write_text(json.dumps({"playlist": {"title": "x", "track": [track, track]}}))
        history = load_history(tmp_path)
        assert history.importers == ("playlists",)
        assert history.plays.select("time", "artist", "title", "mbid", "path", "duration_s").rows() == [
            (None, "A", "One - Live", None, "A/Album/01 One.mp3", 123.0),
            (None, None, None, None, "file:///m/B/Two &.flac", None),
            (None, None, None, None, "Jörg/01.mp3", None),
            (None, "C", "Three", MBID, None, 61.5),
        ]
        assert history.dropped["addresses of streams"] == 1
        assert history.dropped["in several playlists"] == 1
        catalogue = pl.DataFrame({"track": ["t"], "path": ["B/Two &.flac"]})
        assert match(history.plays, catalogue).pairs.select("track", "time").rows() == [("t", None)]


def workbook(path: Path, **sheets: list[list[str | int]]) -> Path:
    """An .xlsx file with these sheets, as small as Office accepts it."""
    spaces = "http://schemas.openxmlformats.org"
    kinds, main = f"{spaces}/package/2006", f"{spaces}/spreadsheetml/2006/main"
    office = f"{spaces}/officeDocument/2006/relationships"
    names = "".join(
        f'<sheet name="{name}" sheetId="{number}" r:id="r{number}"/>' for number, name in enumerate(sheets, 1)
    )
    links = "".join(
        f'<Relationship Id="r{number}" Type="{office}/worksheet" Target="worksheets/sheet{number}.xml"/>'
        for number in range(1, len(sheets) + 1)
    )

    def cell(value: str | int) -> str:
        return f"<c><v>{value}</v></c>" if isinstance(value, int) else f'<c t="inlineStr"><is><t>{value}</t></is></c>'

    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(
            "[Content_Types].xml",
            f'<Types xmlns="{kinds}/content-types"><Default Extension="xml" ContentType="application/xml"/></Types>',
        )
        archive.writestr(
            "_rels/.rels",
            f'<Relationships xmlns="{kinds}/relationships"><Relationship Id="r1" Type="{office}/officeDocument" '
            'Target="xl/workbook.xml"/></Relationships>',
        )
        archive.writestr(
            "xl/workbook.xml", f'<workbook xmlns="{main}" xmlns:r="{office}"><sheets>{names}</sheets></workbook>'
        )
        archive.writestr(
            "xl/_rels/workbook.xml.rels", f'<Relationships xmlns="{kinds}/relationships">{links}</Relationships>'
        )
        for number, rows in enumerate(sheets.values(), 1):
            lines = "".join(f"<row>{''.join(map(cell, row))}</row>" for row in rows)
            archive.writestr(
                f"xl/worksheets/sheet{number}.xml",
                f'<worksheet xmlns="{main}"><sheetData>{lines}</sheetData></worksheet>',
            )
    return path


class TestDeezer:
    def test_the_sheet_of_the_history_is_found(self, tmp_path: Path) -> None:
        header: list[str | int] = [
            "Song Title", "Artist", "ISRC", "Album Title", "IP Address", "Listening Time", "Platform Name", "Date",
        ]  # fmt: skip
        path = workbook(
            tmp_path / "deezer-data_1.xlsx",
            identity=[["Email"], ["secret@example.org"]],
            listeningHistory=[
                header,
                ["One", "A", "GBAYE0601498", "Album", "192.0.2.1", 200, "web", "2023-01-15 14:27:00"],
                ["Two", "B", "", "", "192.0.2.1", 12, "web", "2023-01-15 14:30:00"],
            ],
        )
        history = load_history(path)
        assert history.importers == ("deezer",)
        assert history.plays.select("time", "artist", "title", "album", "isrc", "played_s").rows() == [
            (datetime(2023, 1, 15, 14, 27), "A", "One", "Album", "GBAYE0601498", 200.0)
        ]
        assert history.dropped["played for less than 30 s"] == 1
        workbook(tmp_path / "deezer-data_1.xlsx", identity=[["Email"], ["secret@example.org"]])
        with pytest.raises(DataError, match="no sheet with a listening history"):
            read_history(path)

    def test_a_long_history_takes_several_sheets(self, tmp_path: Path) -> None:
        header: list[str | int] = ["Song Title", "Artist", "Date"]
        path = workbook(
            tmp_path / "deezer-data_1.xlsx",
            first=[header, ["One", "A", "2023-01-15 14:27:00"]],
            identity=[["Email"], ["secret@example.org"]],
            second=[header, ["Two", "B", "2023-01-16 14:27:00"], ["", "", ""]],
        )
        assert read_history(path)["title"].to_list() == ["One", "Two"]

    def test_damaged_and_other_workbooks(self, tmp_path: Path) -> None:
        path = tmp_path / "x.xlsx"
        path.write_bytes(b"PK\x03\x04damaged")
        with pytest.raises(DataError, match=r"x\.xlsx cannot be read as a workbook"):
            read_history(path)

    def test_a_missing_reader_is_named(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def missing(*_: Any, **__: Any) -> None:
            raise ModuleNotFoundError("required package 'fastexcel' not found")

        monkeypatch.setattr("polars.read_excel", missing)
        (tmp_path / "x.xlsx").write_bytes(b"PK\x03\x04")
        with pytest.raises(ConfigError, match=r"timbrec\[excel\]"):
            read_history(tmp_path / "x.xlsx")
