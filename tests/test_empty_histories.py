"""Histories without a play: a header alone, an empty list, a database that nobody used, blanks."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import polars as pl
import pytest

from timbrec.errors import DataError
from timbrec.histories import load_history, read_catalogue
from timbrec.models.catalogue import catalogue_of
from timbrec.models.histories import matched_history

HEADERS = {
    "lastfm": "artist,track,album,date",
    "lastfm by ghan": "uts,utc_time,artist,artist_mbid,album,album_mbid,track,track_mbid",
    "apple": "Song Name,Event Start Timestamp,Play Duration Milliseconds",
    "deezer": "Song Title,Artist,ISRC,Album Title,Listening Time,Date",
    "jellyfin": "DateCreated,UserId,ItemId,ItemType,ItemName,PlayDuration",
    "plex": "title,parent_title,grandparent_title,started,media_type",
}
IN_UTC = ("apple",)
TEXTS = {
    "Streaming_History_Audio_2020.json": "[]",
    "watch-history.json": " [ ]\n",
    "listens.jsonl": "\n\n",
    "listens.json": '{"payload": {"count": 0, "listens": []}}',
    "blank.csv": "  ",
}
DATABASES = {
    "plex": "CREATE TABLE metadata_item_views (title, parent_title, grandparent_title, viewed_at, account_id, "
    "metadata_type, guid); CREATE TABLE accounts (id, name)",
    "tautulli": "CREATE TABLE session_history (id, started, stopped, paused_counter, user, media_type); "
    "CREATE TABLE session_history_metadata (id, title, parent_title, grandparent_title, original_title)",
    "jellyfin": "CREATE TABLE PlaybackActivity (DateCreated, UserId, ItemId, ItemType, ItemName, PlayDuration)",
}
CATALOGUE = catalogue_of(pl.Series(["t0", "t1"]))


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


@pytest.mark.parametrize("zone", [None, "Europe/Vienna"])
@pytest.mark.parametrize("name", HEADERS)
def test_a_header_alone_has_no_rows(tmp_path: Path, name: str, zone: str | None) -> None:
    table = written(tmp_path / "plays.csv", HEADERS[name] + "\n")
    if name in IN_UTC:
        zone = None
    with pytest.raises(DataError, match=r"plays\.csv has no rows\. A history needs"):
        load_history(table, time_zone=zone)
    with pytest.raises(DataError, match=r"plays\.csv has no rows\. A history needs"):
        matched_history([table], CATALOGUE, zone)


@pytest.mark.parametrize("name", TEXTS)
def test_files_without_an_entry_have_no_rows(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=rf"{name} has no rows"):
        load_history(written(tmp_path / name, TEXTS[name]))


@pytest.mark.parametrize("name", DATABASES)
def test_databases_that_nobody_used_have_no_rows(tmp_path: Path, name: str) -> None:
    with closing(sqlite3.connect(tmp_path / "server.db")) as database:
        database.executescript(DATABASES[name])
    with pytest.raises(DataError, match=r"server\.db has no rows"):
        load_history(tmp_path / "server.db")


@pytest.mark.parametrize("header", ["track", "track_id,user"])
def test_a_table_of_ids_without_ids_says_so(tmp_path: Path, header: str) -> None:
    table = written(tmp_path / "log.csv", header + "\n")
    with pytest.raises(DataError, match=r"log\.csv has no rows\. Give a row per play"):
        matched_history([table], CATALOGUE)
    pl.read_csv(table, infer_schema=False).write_parquet(tmp_path / "log.parquet")
    with pytest.raises(DataError, match=r"log\.parquet has no rows"):
        matched_history([tmp_path / "log.parquet"], CATALOGUE)
    name = header.partition(",")[0]
    pl.DataFrame({name: [None, None]}, {name: pl.String}).write_parquet(tmp_path / "log.parquet")
    with pytest.raises(DataError, match=r"log\.parquet has no id of a track \(2 in all\)"):
        matched_history([tmp_path / "log.parquet"], CATALOGUE)
    pl.DataFrame({name: [None, "T9"]}).write_parquet(tmp_path / "log.parquet")
    with pytest.raises(DataError, match=r"none of them \(1 in all, e\.g\. 'T9'\)\. An id of the model is 't0'"):
        matched_history([tmp_path / "log.parquet"], CATALOGUE)


def test_an_empty_file_beside_others_does_no_harm(tmp_path: Path) -> None:
    written(tmp_path / "2019.csv", HEADERS["lastfm"] + "\n")
    written(tmp_path / "2020.csv", HEADERS["lastfm"] + "\nBand,Song,Album,2020-05-01 10:00\n")
    assert load_history(tmp_path).plays["title"].to_list() == ["Song"]
    both = [written(tmp_path / f"{year}.csv", HEADERS["lastfm"] + "\n") for year in (2019, 2020)]
    with pytest.raises(DataError, match=r"2019\.csv and .*2020\.csv have no rows"):
        load_history(both)


def test_a_text_of_a_single_line_is_called_so(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"starts with 'day,song', and has no other line"):
        load_history(written(tmp_path / "plays.csv", "day,song\n"))


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.jspf", '{"playlist": {"track": null}}', r"a\.jspf has no list `playlist\.track`"),
        ("b.jspf", '{"playlist": null, "track": 1}', r"b\.jspf has no list `playlist\.track`"),
        ("c.json", '{"payload": {"listens": 3}}', r"c\.json has no list `payload\.listens`"),
        ("d.json", '{"listens": {"track_metadata": 1}}', r"d\.json has no list `listens`"),
        ("e.json", '{"subsonic-response": null}', r"e\.json has no object `subsonic-response`"),
        ("f.json", '{"a": "subsonic-response"}', "has no object `subsonic-response`"),
        ("g.json", '{"subsonic-response": {"status": "failed"}}', r"refused the request \(no reason given\)"),
        ("h.json", '{"subsonic-response": {"status": "ok"}}', "played, starred or in a playlist. Get the answer"),
        ("i.jspf", '{"playlist": {"track": [null]}}', r"i\.jspf has no tracks\. "),
        ("j.jspf", '{"playlist": {"track": [', r"j\.jspf is no complete JSON"),
    ],
)
def test_answers_of_another_form_are_named_in_words(tmp_path: Path, name: str, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        load_history(written(tmp_path / name, text))


def test_a_catalogue_names_each_track(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"some rows have no track id \(1 in all\)"):
        read_catalogue(written(tmp_path / "tracks.csv", "track,title\nt0,Song\n,Other\n"))
