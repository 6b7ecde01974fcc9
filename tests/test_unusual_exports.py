"""Exports in forms that are rarer than those of the other tests, as people have them."""

from __future__ import annotations

import json
import sqlite3
import zipfile
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from timbrec.errors import ConfigError, DataError
from timbrec.histories import History, load_history

DAY = "2024-05-01T15:3{}:00Z"


def made(path: Path, script: str) -> Path:
    """A database that a script fills."""
    with closing(sqlite3.connect(path)) as database:
        database.executescript(script)
        database.commit()
    return path


def used(history: History) -> dict[str, int]:
    return {reason: count for reason, count in history.dropped.items() if count}


def listen(at: int, title: str) -> dict[str, Any]:
    return {"listened_at": at, "track_metadata": {"artist_name": "Bj\u00f6rk", "track_name": title}}


def video(title: str, minute: int, **more: Any) -> dict[str, Any]:
    return {"header": "YouTube Music", "title": title, "titleUrl": "https://music.youtube.com/watch?v=1",
            "time": DAY.format(minute), "subtitles": [{"name": "A - Topic"}]} | more  # fmt: skip


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-be"])
@pytest.mark.parametrize("zipped", [False, True])
def test_text_of_windows_programs_is_read(tmp_path: Path, encoding: str, zipped: bool) -> None:
    mark = "\ufeff" if encoding == "utf-16-be" else ""
    files = {
        "list.json": json.dumps([listen(1_700_000_000, "J\u00f3ga")], ensure_ascii=False),
        "lines.jsonl": json.dumps(listen(1_700_000_000, "J\u00f3ga"), ensure_ascii=False) + "\r\n",
        "table.csv": "uts,artist,track\r\n1700000000,Bj\u00f6rk,J\u00f3ga\r\n",
        "list.m3u8": "#EXTM3U\r\n#EXTINF:200,Bj\u00f6rk - J\u00f3ga\r\nC:\\Music\\J\u00f3ga.mp3\r\n",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.write_bytes((mark + text).encode(encoding))
        if zipped:
            with zipfile.ZipFile(tmp_path / f"{name}.zip", "w") as archive:
                archive.write(path, f"folder/{name}")
            path = tmp_path / f"{name}.zip"
        plays = load_history(path).plays
        assert plays.select("artist", "title").rows() == [("Bj\u00f6rk", "J\u00f3ga")], name


def test_a_scrobble_that_is_playing_now_comes_first(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text('A,Al,Now,\nA,"Al, 2",One,06 Sep 2021 14:23\nB,,"Two ""x""",06 Sep 2021 14:20\n')
    history = load_history(tmp_path)
    assert history.plays["title"].to_list() == ['Two "x"', "One"]
    assert used(history) == {"scrobbles without a time": 1}


def test_tracks_that_spotify_names_no_more_are_dropped(tmp_path: Path) -> None:
    rows = [{"endTime": "2021-01-01 12:34", "artistName": artist, "trackName": title, "msPlayed": 60_000}
            for artist, title in (("Unknown Artist", "Unknown Track"), ("A", "Unknown Track"))]  # fmt: skip
    (tmp_path / "StreamingHistory0.json").write_text(json.dumps(rows))
    history = load_history(tmp_path)
    assert history.plays["artist"].to_list() == ["A"]
    assert used(history) == {"streams without a title": 1}


def test_apples_earlier_exports_call_titles_contents(tmp_path: Path) -> None:
    (tmp_path / "Apple Music Play Activity.csv").write_text(
        "Artist Name,Content Name,Event Start Timestamp,Event Type,Media Type,Play Duration Milliseconds\n"
        "A,One,2019-01-01T10:00:00Z,PLAY_END,AUDIO,100000\nA,Clip,2019-01-01T10:05:00Z,PLAY_END,VIDEO,100000\n"
        "A,Skipped,2019-01-01T10:09:00Z,PLAY_END,AUDIO,-5\n"
    )
    history = load_history(tmp_path)
    assert history.plays.select("time", "artist", "title").rows() == [(datetime(2019, 1, 1, 10), "A", "One")]
    assert used(history) == {"videos": 1, "played for less than 30 s": 1}


@pytest.mark.parametrize("words", ["Vous avez regard\u00e9 {}", "Has visto {}", "{} angesehen"])
def test_a_history_in_two_languages_keeps_the_titles_alone(tmp_path: Path, words: str) -> None:
    titles = ["Anti-Hero", "Blue", "Creep", "Dance Again"]
    rows = [video(f"Watched {title}", minute) for minute, title in enumerate(titles)]
    rows += [video(words.format(title), minute + 4) for minute, title in enumerate(titles)]
    rows.append(video("Searched for x", 9, titleUrl="https://www.youtube.com/results?search_query=x"))
    (tmp_path / "MyActivity.json").write_text(json.dumps(rows), encoding="utf-8")
    history = load_history(tmp_path)
    assert history.plays["title"].to_list() == titles * 2
    assert used(history) == {"searches": 1}


def test_words_that_few_titles_share_stay(tmp_path: Path) -> None:
    rows = [video("Symphony No. 1", minute) for minute in range(5)]
    (tmp_path / "watch-history.json").write_text(json.dumps([*rows, video("Watched Blue", 6)]))
    assert load_history(tmp_path).plays["title"].to_list() == ["Symphony No. 1"] * 5 + ["Blue"]


def test_navidromes_deleted_tracks_and_missing_dates_are_counted(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "navidrome.db")) as database:
        database.executescript(
            "CREATE TABLE user (id, user_name); CREATE TABLE media_file (id, artist, title, album, duration, path);"
            "CREATE TABLE annotation (user_id, item_id, item_type, play_count, play_date);"
            "INSERT INTO user VALUES ('u', 'ann'); INSERT INTO media_file VALUES ('1', 'A', 'One', 'Al', 200, 'x.mp3');"
            "INSERT INTO annotation VALUES ('u', '1', 'media_file', 3, '0001-01-01 00:00:00+00:00'),"
            " ('u', 'gone', 'media_file', 5, '2024-05-01 10:20:30.123+02:00'), ('u', '9', 'album', 7, NULL);"
        )
        database.commit()
    history = load_history(tmp_path)
    assert history.plays.select("user", "time", "title", "plays").rows() == [("ann", None, "One", 3)]
    assert used(history) == {"of tracks that were deleted": 5}


def test_subsonics_videos_and_refusals(tmp_path: Path) -> None:
    songs = [{"id": "1", "title": "One", "playCount": 3, "type": "music"}, {"id": 2, "title": "P", "type": "podcast",
             "playCount": 3}, {"id": 3, "title": "V", "isVideo": True, "starred": "2024-01-01T00:00:00Z"}]  # fmt: skip
    answer = {"status": "ok", "starred2": {"song": songs}}
    (tmp_path / "a.json").write_text(json.dumps({"subsonic-response": answer}))
    history = load_history(tmp_path)
    assert history.plays["title"].to_list() == ["One"]
    assert used(history) == {"videos, podcasts and audiobooks": 2}
    refused = {"status": "failed", "error": {"code": 40, "message": "Wrong username or password"}}
    (tmp_path / "a.json").write_text(json.dumps({"subsonic-response": refused}))
    with pytest.raises(DataError, match=r"refused the request \(Wrong username or password\)"):
        load_history(tmp_path)


def test_plays_that_tautulli_timed_are_skipped_when_short(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(
        "date;media_type;title;parent_title;grandparent_title;play_duration\n"
        "1700000000;track;One;Al;A;100\n1700000300;track;Two;Al;A;10\n"
    )
    history = load_history(tmp_path)
    assert history.plays["title"].to_list() == ["One"]
    assert used(history) == {"played for less than 30 s": 1}


def test_a_playlist_with_odd_entries(tmp_path: Path) -> None:
    tracks = [{"creator": "A", "title": "One", "duration": "abc"}, {}, {"title": None, "location": ["file:///b.mp3"]}]
    (tmp_path / "x.jspf").write_text(json.dumps({"playlist": {"track": tracks}}))
    history = load_history(tmp_path)
    assert history.plays.select("title", "path").rows() == [("One", None), (None, "file:///b.mp3")]
    assert used(history) == {"without a title or an id": 1}


ANSWER = '<subsonic-response xmlns="http://subsonic.org/restapi" status="{}" version="1.16.1">{}</subsonic-response>'


def test_subsonics_answers_in_xml_are_read_as_those_in_json(tmp_path: Path) -> None:
    song = (
        '<song id="1" title="One" artist="A &amp; B" album="Al" duration="200" isDir="false" isVideo="false"'
        ' starred="2023-01-01T00:00:00Z" playCount="3" played="2024-02-01T10:00:00+02:00">'
        "<isrc>GBAYE0601498</isrc></song>"
        '<song id="2" title="V" isVideo="true" starred="2024-01-01T00:00:00"/><song id="3" title="Unplayed"/>'
    )
    entry = '<playlist id="p" name="x"><entry id="4" title="Four" isDir="false"/><entry id="5" title="D" isDir="true"/>'
    (tmp_path / "a.xml").write_text(ANSWER.format("ok", f'<starred2><album id="a" name="x"/>{song}</starred2>'))
    (tmp_path / "b.xml").write_text('<?xml version="1.0"?>\n' + ANSWER.format("ok", f"{entry}</playlist>"))
    history = load_history(tmp_path)
    assert history.importers == ("subsonic",)
    assert history.plays.select("time", "artist", "title", "isrc", "duration_s", "plays").rows() == [
        (datetime(2024, 2, 1, 8), "A & B", "One", "GBAYE0601498", 200.0, 3),
        (None, None, "Four", None, None, 1),
    ]
    assert used(history) == {"songs neither played nor starred": 1, "videos, podcasts and audiobooks": 1}
    (tmp_path / "b.xml").write_text(ANSWER.format("failed", '<error code="40" message="Wrong password"/>'))
    with pytest.raises(DataError, match=r"refused the request \(Wrong password\)"):
        load_history(tmp_path / "b.xml")
    (tmp_path / "b.xml").write_text(ANSWER.format("ok", song)[:200])
    with pytest.raises(DataError, match=r"b\.xml is no complete answer of the API"):
        load_history(tmp_path / "b.xml")


USER = "0123456789abcdef0123456789abcdef"
PLAYED, DASHED = "2024-05-01 10:20:30", "01234567-89ab-cdef-0123-456789abcdef"
COLUMNS = "rowid,DateCreated,UserId,ItemType,ItemName,PlayDuration"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("emby.tsv", f"{PLAYED}.1234567\t{USER}\t77\tAudio\tA - One (Al)\tx\ty\tz\t200\n"),  # items by number
        ("backup.tsv", f"{PLAYED}\t{DASHED}\tx\tAudio\tA - One (Al)\tx\ty\tz\t200\n"),
        ("query.csv", f"{COLUMNS}\n1,{PLAYED},{USER},Audio,A - One (Al),200\n2,{PLAYED},,Movie,F,9\n"),
        ("short.csv", f"DateCreated;ItemType;ItemName\n{PLAYED};Audio;A - One (Al)\n"),
    ],
)
def test_jellyfins_plays_in_other_tables(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    history = load_history(tmp_path / name)
    assert history.importers == ("jellyfin",)
    assert history.plays.select("artist", "title", "album").rows() == [("A", "One", "Al")]
    assert history.plays["time"][0].replace(microsecond=0) == datetime(2024, 5, 1, 10, 20, 30)


def test_jellyfins_names_without_an_album(tmp_path: Path) -> None:
    row = f"2024-05-01 10:20:30\t{USER}\t{USER}\tAudio\t{{}}\tx\ty\tz\t200\n"
    (tmp_path / "b.tsv").write_text("".join(map(row.format, ("A - One", "Not Known - B (x) (Not Known)", "Alone"))))
    names = load_history(tmp_path).plays.select("artist", "title", "album").rows()
    assert names == [("A", "One", None), (None, "B (x)", None), (None, "Alone", None)]


OLDER = """
    CREATE TABLE TypedBaseItems (guid, type, Name, Album, Artists, Path, RunTimeTicks, UserDataKey);
    CREATE TABLE UserDatas (key, userId INT, playCount INT, isFavorite, lastPlayedDate);
    INSERT INTO TypedBaseItems VALUES
      (x'01', 'MediaBrowser.Controller.Entities.Audio.Audio', 'One', 'Al', 'A|B', '/m/A/1.mp3', 2000000000, 'k1'),
      (x'02', 'MediaBrowser.Controller.Entities.Audio.Audio', 'One', 'Al', 'A|B', '/m/copy/1.mp3', 2000000000, 'k1'),
      (x'03', 'MediaBrowser.Controller.Entities.Audio.MusicAlbum', 'Al', NULL, NULL, NULL, NULL, 'k2'),
      (x'04', 'MediaBrowser.Controller.Entities.Movies.Movie', 'F', NULL, NULL, NULL, NULL, 'k3'),
      (x'05', 'MediaBrowser.Controller.Entities.Audio.Audio', 'Two', NULL, NULL, '/m/2.mp3', NULL, 'k4');
    INSERT INTO UserDatas VALUES ('k1', 1, 3, 0, '2023-05-01 10:20:30.1234567Z'), ('k2', 1, 1, 0, NULL),
      ('k3', 1, 1, 0, NULL), ('k4', 2, 1, 0, NULL), ('k4', 1, 0, 1, NULL), ('gone', 1, 2, 0, NULL);
"""
NEWER = """
    CREATE TABLE BaseItems (Id, Type, Name, Album, Artists, Path, RunTimeTicks);
    CREATE TABLE UserData (ItemId, UserId, CustomDataKey, PlayCount, LastPlayedDate);
    INSERT INTO BaseItems VALUES ('I', 'MediaBrowser.Controller.Entities.Audio.Audio', 'One', 'Al', 'A', '/1', NULL);
    INSERT INTO UserData VALUES ('I', 'U', 'a', 2, '2023-05-01 10:20:30'), ('I', 'U', 'b', 4, '2024-05-01 10:20:30.5');
"""


def test_jellyfins_library_counts_plays(tmp_path: Path) -> None:
    history = load_history(made(tmp_path / "library.db", OLDER))
    assert history.importers == ("jellyfin",)
    assert history.plays.select("user", "time", "artist", "title", "album", "duration_s", "plays").rows() == [
        ("1", datetime(2023, 5, 1, 10, 20, 30, 123456), "A, B", "One", "Al", 200.0, 3),
        ("2", None, None, "Two", None, None, 1),
    ]
    assert used(history) == {"items that are no audio": 3}
    assert "all its plays are dated to it" in history.notes[0]
    with pytest.raises(ConfigError, match="in UTC already"):
        load_history(tmp_path / "library.db", time_zone="Europe/Vienna")
    made(tmp_path / "jellyfin.db", NEWER)
    history = load_history(tmp_path)  # the library of before the server was updated lies beside it
    assert history.plays.select("user", "time", "title", "plays").rows() == [
        ("U", datetime(2024, 5, 1, 10, 20, 30, 500_000), "One", 4)
    ]
    assert "library.db was left out" in history.notes[1]
    plugin = "CREATE TABLE PlaybackActivity (DateCreated, ItemName, ItemType, PlayDuration, UserId);"
    row = f"INSERT INTO PlaybackActivity VALUES ('{PLAYED}', 'A - Three (Al)', 'Audio', 200, 'u');"
    made(tmp_path / "playback_reporting.db", plugin + row)
    history = load_history(tmp_path)
    assert history.plays.select("user", "title").rows() == [("u", "Three")]
    assert "was left out: the plugin has the time of each play" in history.notes[-1]


VIEWS = (
    "CREATE TABLE accounts (id, name); INSERT INTO accounts VALUES (1, 'ann'); CREATE TABLE metadata_item_views"
    " (account_id, guid, metadata_type, title, parent_title, grandparent_title, viewed_at);"
)


def test_plexs_earlier_databases_hold_times_as_text(tmp_path: Path) -> None:
    rows = "(1, 'g', 10, 'One', 'Al', 'A', '2014-01-01 10:20:30'), (7, 'g', 10, 'Two', 'Al', 'A', 1700000000)"
    history = load_history(made(tmp_path / "library.db", f"{VIEWS} INSERT INTO metadata_item_views VALUES {rows};"))
    assert history.plays.select("user", "time", "title").rows() == [
        ("ann", datetime(2014, 1, 1, 10, 20, 30), "One"), ("me", datetime(2023, 11, 14, 22, 13, 20), "Two"),
    ]  # fmt: skip


def test_tautullis_database_and_tables_of_plexs_api(tmp_path: Path) -> None:
    script = """
        CREATE TABLE session_history (id, started, stopped, user, media_type, paused_counter);
        CREATE TABLE session_history_metadata (id, title, parent_title, grandparent_title, original_title);
        INSERT INTO session_history VALUES (1, 1700000000, 1700000300, 'ann', 'track', 100),
          (2, 1700000000, 1700000300, 'ann', 'movie', 0), (3, 1700000400, 1700000410, 'ann', 'track', 0);
        INSERT INTO session_history_metadata VALUES (1, 'One', 'Al', 'Various Artists', 'A'), (2, 'F', '', '', ''),
          (3, 'Skipped', 'Al', 'B', NULL);
    """
    history = load_history(made(tmp_path / "tautulli.db", script))
    time = datetime(2023, 11, 14, 22, 13, 20)
    assert history.plays.select("user", "time", "artist", "title", "album", "played_s").rows() == [
        ("ann", time, "A", "One", "Al", 200.0)
    ]
    assert used(history) == {"items that are no tracks": 1, "played for less than 30 s": 1}
    (tmp_path / "t.csv").write_text(
        "title,parentTitle,grandparentTitle,viewedAt,type,account\nOne,Al,A,1700000000,track,ann\nF,,,1700000000,movie,x\n"
    )
    history = load_history(tmp_path / "t.csv")
    assert history.plays.select("user", "time", "artist", "title").rows() == [("ann", time, "A", "One")]
    assert used(history) == {"items that are no tracks": 1}


@pytest.mark.parametrize(
    "written", ["2024-05-01T08:20:30.5Z", "2024-05-01 10:20:30.500 +0200 CEST", "2024-05-01 10:20:30.5+02:00"]
)
def test_navidromes_times_of_several_versions(tmp_path: Path, written: str) -> None:
    script = f"""
        CREATE TABLE user (id, user_name); CREATE TABLE media_file (id, artist, title, album, mbz_track_id);
        CREATE TABLE annotation (user_id, item_id, item_type, play_count, play_date);
        INSERT INTO media_file VALUES ('1', 'A', 'One', 'Al', 'M'); INSERT INTO annotation VALUES
          ('gone', '1', 'media_file', 2, '{written}');
    """
    history = load_history(made(tmp_path / "navidrome.db", script))
    assert history.plays.select("user", "time", "title", "mbid", "plays").rows() == [
        ("gone", datetime(2024, 5, 1, 8, 20, 30, 500_000), "One", "m", 2)
    ]


def test_a_navidrome_where_tracks_were_only_starred_has_no_plays(tmp_path: Path) -> None:
    script = """
        CREATE TABLE user (id, user_name); CREATE TABLE media_file (id, artist, title, album);
        CREATE TABLE annotation (user_id, item_id, item_type, play_count, play_date, starred);
        INSERT INTO media_file VALUES ('1', 'A', 'One', 'Al');
        INSERT INTO annotation VALUES ('u', '1', 'media_file', 0, NULL, 1);
    """
    with pytest.raises(DataError, match="no play of a track"):
        load_history(made(tmp_path / "navidrome.db", script))


@pytest.mark.parametrize(
    "header", ["Song Title,Artist,ISRC,Album Title,Date", " song title ;ARTIST;isrc;Album title;date"]
)
def test_deezers_history_saved_as_csv(tmp_path: Path, header: str) -> None:
    row = "One,A,GBAYE0601498,Al,2023-01-15T14:27:00Z"
    separator = ";" if ";" in header else ","
    (tmp_path / "listening.csv").write_text(f"{header}\n{row.replace(',', separator)}\n", encoding="utf-8-sig")
    history = load_history(tmp_path)
    assert history.importers == ("deezer",)
    assert history.plays.select("time", "artist", "title", "album", "isrc").rows() == [
        (datetime(2023, 1, 15, 14, 27), "A", "One", "Al", "GBAYE0601498")
    ]
