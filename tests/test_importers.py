from __future__ import annotations

import gzip
import io
import json
import sqlite3
import tarfile
import zipfile
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from timbrec import catalog
from timbrec.errors import ConfigError, DataError
from timbrec.histories import History, load_history, read_history
from timbrec.importers.shared.base import COLUMNS

IMPORTERS = catalog.names("importers")
MBID, MAPPED = "8f3471b5-7e6a-48da-86a9-c1c07a0f47ae", "11111111-2222-3333-4444-555555555555"


def lines(*records: Any) -> str:
    return "".join(json.dumps(record) + "\n" for record in records)


def zipped(path: Path, **files: str | bytes) -> Path:
    """A zip archive; `listens_2023_1__jsonl` is listens/2023/1.jsonl."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name.replace("__", ".").replace("_", "/"), content)
    return path


def rows(history: pl.DataFrame, *columns: str) -> list[tuple[Any, ...]]:
    return history.select(columns or [name for name in COLUMNS if name != "plays"]).rows()


def listen(at: int | None, artist: str, title: Any, **more: Any) -> dict[str, Any]:
    info = {
        name: more.pop(name) for name in list(more) if name in ("isrc", "duration_ms", "duration", "recording_mbid")
    }
    metadata = {"artist_name": artist, "track_name": title, "additional_info": info} | more
    return {"listened_at": at, "recording_msid": "msid", "track_metadata": metadata}


LISTENS = [
    listen(1_700_000_000, "A", "One", release_name="Album", isrc="gb-aye0601498", duration_ms=61_000),
    listen(1_700_000_100, "A", "Two", recording_mbid=MBID.upper(), mbid_mapping={"recording_mbid": MAPPED}),
    listen(1_700_000_200, "B", "Three", mbid_mapping={"recording_mbid": MAPPED}, duration="75"),
]


class TestListenBrainz:
    def test_an_export_is_read_from_its_zip(self, tmp_path: Path) -> None:
        path = zipped(
            tmp_path / "export.zip", user__json='{"username": "x"}', feedback__jsonl=lines({"score": 1}),
            listens_2023_11__jsonl=lines(*LISTENS[1:]), listens_2023_10__jsonl=lines(LISTENS[0]),
        )  # fmt: skip
        history = load_history(path)
        assert history.importers == ("listenbrainz",)
        first, second, third = (datetime(2023, 11, 14, 22, *late) for late in ((13, 20), (15,), (16, 40)))
        assert rows(history.plays) == [
            ("me", first, "A", "One", "Album", None, "GBAYE0601498", None, 61.0, None, None, "msid"),
            ("me", second, "A", "Two", None, MBID, None, None, None, None, None, "msid"),
            ("me", third, "B", "Three", None, MAPPED, None, None, 75.0, None, None, "msid"),
        ]  # fmt: skip

    @pytest.mark.parametrize("layout", ["lines", "list", "answer", "gz", "tar", "dump"])
    def test_other_layouts_give_the_same_plays(self, tmp_path: Path, layout: str) -> None:
        path, content = tmp_path / f"listens.{layout}", lines(*LISTENS).encode()
        if layout == "list":
            content = json.dumps(LISTENS, indent=1).encode()
        elif layout == "answer":
            content = json.dumps({"payload": {"count": 3, "listens": LISTENS}}).encode()
        elif layout == "gz":
            content = gzip.compress(content)
        elif layout == "tar":
            buffer = io.BytesIO()
            with tarfile.open(fileobj=buffer, mode="w") as archive:
                member = tarfile.TarInfo("dump/listens/2023/11.listens")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
            content = buffer.getvalue()
        elif layout == "dump":
            content = content.replace(b'"listened_at"', b'"timestamp"')
        path.write_bytes(content)
        expected = tmp_path / "plain.jsonl"
        expected.write_text(lines(*LISTENS))
        assert read_history(path).equals(read_history(expected))

    def test_values_of_another_type_do_no_harm(self, tmp_path: Path) -> None:
        path = tmp_path / "listens.jsonl"
        odd = [
            listen(1_700_000_000, "A", "One", isrc=["x"], duration_ms=""),
            listen(1_700_000_009, "B", 7, duration=None),
        ]
        for content in (lines(*odd), json.dumps(odd)):
            path.write_text(content)
            assert rows(read_history(path), "artist", "title", "duration_s") == [("A", "One", None), ("B", "7", None)]

    def test_a_listen_without_a_time_is_dropped_and_counted(self, tmp_path: Path) -> None:
        path = tmp_path / "listens.jsonl"
        path.write_text(lines(LISTENS[0], listen(None, "A", "Playing now")))
        assert dict(load_history(path).facts)["plays dropped: listens without a time"] == "1"


def stream(ts: str, played_ms: int, title: str | None, **more: Any) -> dict[str, Any]:
    names = {"master_metadata_album_artist_name": "A" if title else None, "master_metadata_album_album_name": "Album"}
    row = {"ts": ts, "username": "secret", "platform": "p", "ms_played": played_ms, "ip_addr": "192.0.2.7"}
    return row | {"master_metadata_track_name": title, "spotify_track_uri": "spotify:track:1"} | names | more


class TestSpotify:
    STREAMS = (
        stream("2020-04-11T00:27:53Z", 174_674, "One"),
        stream("2020-04-11T00:30:00Z", 29_999, "Skipped"),
        stream("2020-04-11T00:40:00Z", 600_000, None, episode_name="Talk", episode_show_name="Show"),
        stream("2020-04-11T00:50:00Z", 600_000, None, audiobook_title="Book"),
        stream("2020-04-11T01:00:00Z", 60_000, "Secret", incognito_mode=True),
        stream("2020-04-11T01:10:00Z", 60_000, None),
        stream("2020-04-11T01:20:00Z", 30_000, "Two", incognito_mode=False),
    )

    def archive(self, folder: Path) -> Path:
        path = folder / "my_spotify_data.zip"
        with zipfile.ZipFile(path, "w") as archive:
            name = "Spotify Extended Streaming History/Streaming_History_Audio_2020_{}.json"
            archive.writestr(name.format(1), json.dumps(self.STREAMS[:3]))
            archive.writestr(name.format(2), json.dumps(self.STREAMS[3:], indent=2))
            archive.writestr("Spotify Extended Streaming History/ReadMeFirst.pdf", "%PDF-1.4")
        return path

    def test_the_extended_history_is_read_and_what_is_no_play_is_counted(self, tmp_path: Path) -> None:
        history = load_history(self.archive(tmp_path))
        assert history.importers == ("spotify",)
        first, second = datetime(2020, 4, 11, 0, 24, 58, 326_000), datetime(2020, 4, 11, 1, 19, 30)
        assert rows(history.plays) == [
            ("me", first, "A", "One", "Album", None, None, None, None, 174.674, None, "spotify:track:1"),
            ("me", second, "A", "Two", "Album", None, None, None, None, 30.0, None, "spotify:track:1"),
        ]  # fmt: skip
        assert {reason: count for reason, count in history.dropped.items() if count} == {
            "podcasts": 1, "audiobooks": 1, "in private sessions": 1, "streams without a title": 1,
            "played for less than 30 s": 1,
        }  # fmt: skip

    def test_skipped_and_private_plays_can_be_kept(self, tmp_path: Path) -> None:
        history = load_history(self.archive(tmp_path), least_played=0.0, private=True)
        assert history.plays["title"].to_list() == ["One", "Skipped", "Secret", "Two"]

    def test_addresses_and_devices_are_not_read(self, tmp_path: Path) -> None:
        text = str(load_history(self.archive(tmp_path), least_played=0.0, private=True).plays.to_dicts())
        assert "192.0.2.7" not in text
        assert "secret" not in text

    def test_account_data_are_read_where_there_is_nothing_else(self, tmp_path: Path) -> None:
        account = [{"endTime": "2021-01-01 12:34", "artistName": "B", "trackName": "Three", "msPlayed": 240_000}]
        talk = [{"endTime": "2021-01-01 13:34", "podcastName": "Show", "episodeName": "Talk", "msPlayed": 240_000}]
        (tmp_path / "StreamingHistory_music_0.json").write_text(json.dumps(account))
        (tmp_path / "StreamingHistory_podcast_0.json").write_text(json.dumps(talk))
        history = load_history(tmp_path)
        assert rows(history.plays, "time", "artist", "title") == [(datetime(2021, 1, 1, 12, 30), "B", "Three")]
        assert history.dropped["podcasts"] == 1
        assert "one year" in history.notes[0]
        (tmp_path / "Streaming_History_Audio_2020_1.json").write_text(json.dumps(self.STREAMS))
        earlier = [{"endTime": "2020-04-11 01:20", "artistName": "A", "trackName": "Two", "msPlayed": 30_000}]
        (tmp_path / "StreamingHistory_music_1.json").write_text(json.dumps(earlier))
        for paths in (tmp_path, sorted(tmp_path.iterdir())):
            both = load_history(paths)
            assert both.plays["title"].to_list() == ["One", "Two", "Three"]
            assert both.dropped["of the account data, in the extended history too"] == 1

    def test_a_file_that_is_cut_is_named(self, tmp_path: Path) -> None:
        path = tmp_path / "endsong_0.json"
        path.write_text(json.dumps(self.STREAMS)[:-50])
        with pytest.raises(DataError, match=r"endsong_0\.json is no complete JSON"):
            read_history(path)


GHAN = '''uts,utc_time,artist,artist_mbid,album,album_mbid,track,track_mbid
"1700000000","14 Nov 2023, 22:13","A, B","","Album","","One ""1""","8f3471b5-7e6a-48da-86a9-c1c07a0f47ae"
"1700000060","14 Nov 2023, 22:14","C","","","","Two",""
"","","C","","","","Playing now",""
'''
LASTFMSTATS = """\ufeffArtist;Album;AlbumId;Track;Date#ann
"A, B";Album;1;One;"1700000000000"
C;;;Two;1700000060000
"""
HEADERLESS = '"A, B",Album,One,"14 Nov 2023, 22:13"\nC,,Two,14 Nov 2023 22:14\n'
BACKUP = '2023-11-14,22:13:20,"A, B",One\n2023-11-14,22:14:20,C,Two\n'
GENERAL = 'Played_At,Artist Name,Track Name\n2023-11-14 22:13:20,"A, B",One\n2023-11-14 22:14:20,C,Two\n'


class TestLastFM:
    @pytest.mark.parametrize(
        ("content", "seconds", "user", "album", "title"),
        [
            (GHAN, 20, "me", "Album", 'One "1"'),
            (LASTFMSTATS, 20, "ann", "Album", "One"),
            (HEADERLESS.replace(", 22:13", " 22:13"), 0, "me", "Album", "One"),
            (HEADERLESS.replace("2023 22:14", "2023, 22:14").replace(",14 Nov 2023, 22:14", ',"14 Nov 2023, 22:14"'),
             0, "me", "Album", "One"),
            (BACKUP, 20, "me", None, "One"),
            (GENERAL, 20, "me", None, "One"),
        ],
        ids=["ghan", "lastfmstats", "headerless", "headerless with commas", "backup", "general"],
    )  # fmt: skip
    def test_layouts(
        self, tmp_path: Path, content: str, seconds: int, user: str, album: str | None, title: str
    ) -> None:
        path = tmp_path / "scrobbles.csv"
        path.write_text(content, encoding="utf-8")
        history = load_history(path)
        assert history.importers == ("lastfm",)
        assert rows(history.plays, "user", "time", "artist", "title", "album") == [
            (user, datetime(2023, 11, 14, 22, 13, seconds), "A, B", title, album),
            (user, datetime(2023, 11, 14, 22, 14, seconds), "C", "Two", None),
        ]

    def test_ids_and_scrobbles_without_a_time(self, tmp_path: Path) -> None:
        path = tmp_path / "scrobbles.csv"
        path.write_text(GHAN)
        history = load_history(path)
        assert history.plays["mbid"].to_list() == [MBID, None]
        assert history.dropped["scrobbles without a time"] == 1

    def general(self, folder: Path) -> Path:
        path = folder / "general.csv"
        path.write_text(GENERAL)
        return path

    def test_a_time_zone_applies_to_text_and_not_to_numbers(self, tmp_path: Path) -> None:
        path = tmp_path / "scrobbles.csv"
        path.write_text(GENERAL)
        assert load_history(path).notes == ("times without a zone were read as UTC; `time_zone` names another",)
        history = load_history(path, time_zone="Europe/Vienna")
        assert history.plays["time"][0] == datetime(2023, 11, 14, 21, 13, 20)
        assert history.notes == ()
        path.write_text(GHAN)
        assert load_history(path).notes == ()
        with pytest.raises(ConfigError, match="no time zone"):
            load_history(path, time_zone="Europe/Vienna")
        with pytest.raises(DataError, match="'Vienna' is no time zone"):
            load_history(self.general(tmp_path), time_zone="Vienna")

    def test_a_damaged_line_and_an_unreadable_time_are_named(self, tmp_path: Path) -> None:
        path = tmp_path / "scrobbles.csv"
        path.write_text(GHAN + "1700000060,x\n")
        with pytest.raises(DataError, match=r"scrobbles\.csv: line 5"):
            read_history(path)
        path.write_text(GENERAL.replace("2023-11-14 22:14:20", "yesterday"))
        with pytest.raises(DataError, match=r"scrobbles\.csv: times cannot be read .*yesterday"):
            read_history(path)

    def test_the_data_set_1k_is_read(self, test_data: Path) -> None:
        history = load_history(test_data / "data" / "lastfm1k_head5000")
        assert history.importers == ("lastfm",)
        assert history.total == 5_000 - sum(history.dropped.values())
        assert history.plays["user"].n_unique() == 2

    def test_the_data_set_360k_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "usersha1-artmbid-artname-plays.tsv"
        path.write_text("0" * 40 + "\t" + MBID + "\tA\t7\n")
        with pytest.raises(DataError, match="plays of artists"):
            read_history(path)


SERVER = """
CREATE TABLE user (id varchar, user_name varchar, password varchar);
CREATE TABLE media_file (id varchar, path varchar, title varchar, album varchar, artist varchar, duration real
  {more});
CREATE TABLE annotation (user_id varchar, item_id varchar, item_type varchar, play_count integer, play_date datetime);
INSERT INTO user VALUES ('u1', 'ann', 'hidden'), ('u2', 'bob', 'hidden');
INSERT INTO annotation VALUES
  ('u1', 's1', 'media_file', 5, '2024-05-01 12:00:00.123456789+02:00'), ('u1', 's2', 'media_file', 0, NULL),
  ('u2', 's2', 'media_file', 2, '2024-05-02T10:00:00Z'), ('u2', 'al', 'album', 7, '2024-05-02 10:00:00'),
  ('u2', 'gone', 'media_file', 9, '2024-05-02 10:00:00');
"""
OLDER = (
    SERVER.format(more=", mbz_track_id varchar")
    + f"""
INSERT INTO media_file VALUES ('s1', '/music/A/Album/01.mp3', 'One', 'Album', 'A', 61.5, '{MBID}'),
  ('s2', '/music/B/Two.mp3', 'Two', '', 'B', 0, '');
"""
)
NEWER = (
    SERVER.format(more=", mbz_recording_id varchar, tags jsonb")
    + f"""
INSERT INTO media_file VALUES
  ('s1', 'A/Album/01.mp3', 'One', 'Album', 'A', 61.5, '{MBID}', '{{"isrc":[{{"id":"x","value":"GBAYE0601498"}}]}}'),
  ('s2', 'B/Two.mp3', 'Two', '', 'B', 0, '', '');
CREATE TABLE scrobbles (media_file_id varchar, user_id varchar, submission_time integer);
INSERT INTO scrobbles VALUES ('s1', 'u1', 1700000000), ('s1', 'u1', 1700000100), ('s2', 'u2', 1700000200),
  ('s2', 'u2', 1700000300);
"""
)


class TestNavidrome:
    def server(self, folder: Path, script: str) -> Path:
        path = folder / "navidrome.db"
        with closing(sqlite3.connect(path)) as connection:
            connection.executescript(script)
        return path

    def test_an_older_server_counts_plays(self, tmp_path: Path) -> None:
        history = load_history(self.server(tmp_path, OLDER))
        assert history.importers == ("navidrome",)
        columns = ("user", "time", "title", "mbid", "duration_s", "path", "source_id", "plays")
        assert history.plays.select(columns).rows() == [
            ("ann", datetime(2024, 5, 1, 10, 0, 0, 123_456), "One", MBID, 61.5, "/music/A/Album/01.mp3", "s1", 5),
            ("bob", datetime(2024, 5, 2, 10), "Two", None, None, "/music/B/Two.mp3", "s2", 2),
        ]  # fmt: skip
        assert history.total == 7

    def test_a_newer_server_dates_every_scrobble(self, tmp_path: Path) -> None:
        plays = load_history(self.server(tmp_path, NEWER)).plays
        assert plays.select("user", "time", "title", "isrc", "plays").rows() == [
            ("ann", datetime(2023, 11, 14, 22, 13, 20), "One", "GBAYE0601498", 1),
            ("ann", datetime(2023, 11, 14, 22, 15), "One", "GBAYE0601498", 1),
            ("bob", datetime(2023, 11, 14, 22, 16, 40), "Two", None, 1),
            ("bob", datetime(2023, 11, 14, 22, 18, 20), "Two", None, 1),
            ("ann", None, "One", "GBAYE0601498", 3),
        ]

    def test_the_database_and_its_folder_stay_as_they_are(self, tmp_path: Path) -> None:
        path = self.server(tmp_path, NEWER)
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("UPDATE media_file SET title = 'Renamed' WHERE id = 's1'")
            connection.commit()
        before = path.read_bytes()
        assert load_history(path).plays["title"][0] == "Renamed"
        assert path.read_bytes() == before
        assert [file.name for file in tmp_path.iterdir()] == ["navidrome.db"]

    def test_a_running_servers_last_plays_are_read(self, tmp_path: Path) -> None:
        path = self.server(tmp_path, NEWER)
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("UPDATE media_file SET title = 'Renamed' WHERE id = 's1'")
            connection.commit()
            assert (tmp_path / "navidrome.db-wal").stat().st_size
            assert load_history(path).plays["title"][0] == "Renamed"

    def test_a_damaged_database_is_named(self, tmp_path: Path) -> None:
        path = self.server(tmp_path, NEWER)
        path.write_bytes(path.read_bytes()[:5_000])
        with pytest.raises(DataError, match=r"navidrome\.db cannot be read as a database"):
            read_history(path)

    def test_another_database_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="an SQLite database"):
            read_history(self.server(tmp_path, "CREATE TABLE x (y)"))

    def test_passwords_are_not_read(self, tmp_path: Path) -> None:
        assert "hidden" not in str(load_history(self.server(tmp_path, NEWER)).plays.to_dicts())

    def test_an_archive_with_the_database_is_read(self, tmp_path: Path) -> None:
        path = self.server(tmp_path, OLDER)
        archive = zipped(tmp_path / "backup.zip", **{"navidrome__db": path.read_bytes()})
        assert load_history(archive).total == 7


class TestAnyHistory:
    def written(self, folder: Path, *listens: dict[str, Any]) -> Path:
        path = folder / "listens.jsonl"
        path.write_text(lines(*listens))
        return path

    def test_the_importer_can_be_named(self, tmp_path: Path) -> None:
        path = self.written(tmp_path, *LISTENS)
        assert read_history([path], "listenbrainz").equals(read_history(str(path)))
        with pytest.raises(ConfigError, match="Did you mean 'listenbrainz'"):
            read_history(path, "listenbrain")

    def test_users_can_be_named(self, tmp_path: Path) -> None:
        assert set(load_history(self.written(tmp_path, *LISTENS), user="ann").plays["user"]) == {"ann"}

    def test_plays_that_are_no_plays_are_dropped_and_counted(self, tmp_path: Path) -> None:
        path = self.written(
            tmp_path, LISTENS[0], LISTENS[0], listen(0, "A", "Reset clock"), listen(4_000_000_000, "A", "Future"),
            listen(1_700_000_000, "A", " "),
        )  # fmt: skip
        history = load_history(path)
        assert history.total == 1
        assert {reason: count for reason, count in history.dropped.items() if count} == {
            "without a title or an id": 1, "before 1990 or in the future": 2, "equal to another row": 1,
        }  # fmt: skip

    def test_several_exports_are_one_history(self, tmp_path: Path) -> None:
        (tmp_path / "x").mkdir()
        paths = [self.written(tmp_path, LISTENS[2], LISTENS[1]), self.written(tmp_path / "x", LISTENS[0], LISTENS[1])]
        assert read_history(paths)["title"].to_list() == ["One", "Two", "Three"]
        assert read_history(tmp_path)["title"].to_list() == ["One", "Two", "Three"]

    def test_a_time_zone_is_refused_for_times_in_utc(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="in UTC already"):
            load_history(self.written(tmp_path, *LISTENS), time_zone="Europe/Vienna")

    def test_a_damaged_zip_is_named(self, tmp_path: Path) -> None:
        path = zipped(tmp_path / "export.zip", listens_1__jsonl=lines(*LISTENS * 50))
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
        with pytest.raises(DataError, match=r"export\.zip is cut short or damaged.*Download the export again"):
            read_history(path)
        path.write_bytes(whole[:200] + b"\xff" * 100 + whole[300:])
        with pytest.raises(DataError, match=r"export\.zip/listens/1\.jsonl is cut short or damaged"):
            read_history(path)

    def test_another_kind_of_file_is_named_by_what_it_looks_like(self, tmp_path: Path) -> None:
        for name, content, looks in [
            ("a.pdf", b"%PDF-1.7", "a PDF file"),
            ("a.json", b'[{"name": 1, "email": 2}]', "JSON with the keys email, name"),
            ("a.html", b"<!DOCTYPE html><html>", "an HTML page"),
            ("a.txt", b"Hello", "text that starts with 'Hello'"),
        ]:
            (tmp_path / name).write_bytes(content)
            with pytest.raises(DataError, match="is no listening history") as caught:
                read_history(tmp_path / name)
            assert looks in str(caught.value)
            assert "listenbrainz" in str(caught.value)

    def test_missing_empty_and_useless_files_are_refused(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="does not exist"):
            read_history(tmp_path / "export.zip")
        with pytest.raises(DataError, match="folder without files"):
            read_history(tmp_path)
        (tmp_path / "empty.zip").touch()
        with pytest.raises(DataError, match="is empty"):
            read_history(tmp_path / "empty.zip")
        with pytest.raises(DataError, match="no play that can be used"):
            read_history(self.written(tmp_path, listen(0, "A", "B")))
        with pytest.raises(ConfigError, match="no history was named"):
            read_history([])

    def test_facts_name_importer_and_plays(self, tmp_path: Path) -> None:
        history = load_history(self.written(tmp_path, *LISTENS))
        assert isinstance(history, History)
        assert history.facts[:2] == [("importer", "listenbrainz"), ("plays", "3")]


@pytest.mark.parametrize("name", IMPORTERS)
def test_every_importer_says_how_to_get_the_export(name: str) -> None:
    kind = catalog.load("importers", name)
    assert kind.name.strip()
    assert kind.export.strip()
    assert not kind.export.endswith(".")
