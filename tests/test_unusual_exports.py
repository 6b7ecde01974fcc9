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

from timbrec.errors import DataError
from timbrec.histories import History, load_history

DAY = "2024-05-01T15:3{}:00Z"


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
    (tmp_path / "a.json").write_text('<?xml version="1.0"?><subsonic-response status="ok"/>')
    with pytest.raises(DataError, match="in XML; ask for it with f=json"):
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
