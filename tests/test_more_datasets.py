"""Published data sets that cannot be had here: files of a few lines in their official layouts, written by us."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from timbrec.data.events import Events
from timbrec.datasets.lastfm_360k import LastFM360K
from timbrec.datasets.lfm_1b import LFM1b
from timbrec.datasets.lfm_2b import LFM2b
from timbrec.datasets.million_playlist import MillionPlaylist
from timbrec.datasets.music4all import Music4All
from timbrec.datasets.nowplaying_rs import FEATURES, NowPlayingRS
from timbrec.datasets.shared.base import Dataset
from timbrec.datasets.shared.writing import write_dataset
from timbrec.datasets.talkplaydata_2 import TalkPlayData2
from timbrec.datasets.thirty_music import ThirtyMusic
from timbrec.datasets.yambda import Yambda
from timbrec.errors import DataError
from timbrec.models.catalogue import catalogue_of, labels
from timbrec.models.from_run import items_table
from timbrec.study.config import read_config


def rows(events: Events) -> list[tuple[Any, ...]]:
    """user, item, plays and, if there is one, time of every event, in file order."""
    user, item = events.users.ids.gather(events.table["user"]), events.items.ids.gather(events.table["item"])
    return events.table.with_columns(user=user, item=item).rows()


def write(folder: Path, name: str, *lines: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return folder


def shown(dataset: Dataset, folder: Path) -> list[str]:
    """The names of tracks in a model of the data set, written as tables with a config."""
    write_dataset(dataset, folder / "written")
    config = read_config(folder / "written" / "config.yaml")
    items = items_table(config)
    assert items is not None
    return labels(catalogue_of(items["track"], items)).to_list()


def test_music4all(tmp_path: Path) -> None:
    write(tmp_path, "listening_history.csv", "user\tsong\ttimestamp", "user_1\t0009fFIM1eYThaPg\t2019-02-20 12:28",
          "user_2\t0010xmHR6UICBOYT\t2019-02-20 12:36")  # fmt: skip
    write(tmp_path, "id_information.csv", "id\tartist\tsong\talbum_name",
          "0009fFIM1eYThaPg\tCheryl\tRain on Me\t3 Words",
          '0010xmHR6UICBOYT\tOh "Land\tWhite Nights\tOh Land')  # fmt: skip
    dataset = Music4All(tmp_path)
    assert rows(dataset.events()) == [
        ("user_1", "0009fFIM1eYThaPg", 1, datetime(2019, 2, 20, 12, 28)),
        ("user_2", "0010xmHR6UICBOYT", 1, datetime(2019, 2, 20, 12, 36)),
    ]
    assert dataset.has_artists()
    assert dataset.items().row(1) == ("0010xmHR6UICBOYT", 'Oh "Land', "White Nights", "Oh Land")
    write(tmp_path, "id_genres.csv", "id\tgenres", "0009fFIM1eYThaPg\tpop,dance")
    assert dataset.items()["genre"].to_list() == ["pop", None]
    assert shown(dataset, tmp_path) == ["Rain on Me - Cheryl", 'White Nights - Oh "Land']


def test_yambda(tmp_path: Path) -> None:
    listens = {"uid": [100, 100, 200, 200], "timestamp": [0, 5, 25_999_995, 10], "item_id": [7, 8, 7, 9],
               "is_organic": [1, 0, 1, 1], "played_ratio_pct": [50, 100, 110, 49],
               "track_length_seconds": [200, 200, 200, 200]}  # fmt: skip
    kinds = {"uid": pl.UInt32, "timestamp": pl.UInt32, "item_id": pl.UInt32, "is_organic": pl.UInt8}
    (tmp_path / "flat" / "50m").mkdir(parents=True)
    pl.DataFrame(listens).cast(kinds).write_parquet(tmp_path / "flat" / "50m" / "listens.parquet")  # type: ignore[arg-type]
    dataset = Yambda(tmp_path)
    events = dataset.events()
    assert rows(events) == [
        ("100", "7", 1, datetime(2000, 1, 1)),
        ("100", "8", 1, datetime(2000, 1, 1, 0, 0, 5)),
        ("200", "7", 1, datetime(2000, 10, 27, 22, 13, 15)),
    ]
    assert ("rows left out: short plays", "1") in events.facts
    assert len(Yambda(tmp_path, organic=True, least_ratio=0.0).events()) == 3
    assert not dataset.has_artists()
    assert dataset.vectors() == {}
    pl.DataFrame({"artist_id": [5, 3, 4], "item_id": [7, 7, 8]}).write_parquet(tmp_path / "artist_item_mapping.parquet")
    pl.DataFrame({"album_id": [1], "item_id": [7]}).write_parquet(tmp_path / "album_item_mapping.parquet")
    assert dataset.has_artists()
    assert dataset.items().rows() == [("7", "3", "1"), ("8", "4", None)]
    assert shown(dataset, tmp_path) == ["3", "4"], "its artists are numbers, and its tracks have no names"
    vectors = {
        "item_id": [9, 6, 8, 7],
        "embed": [[2.0, 0.0]] * 4,
        "normalized_embed": [[0, 1.0], [1, 0], [0.6, 0.8], [1, 0]],
    }
    pl.DataFrame(vectors, strict=False).write_parquet(tmp_path / "embeddings.parquet")
    audio = dataset.vectors()["audio"]
    assert audio.ids.to_list() == ["7", "8", "9"], "only tracks that somebody plays"
    np.testing.assert_array_equal(audio.aligned(["8", "9"]), np.array([[0.6, 0.8], [0, 1]], np.float32))


def test_lfm_1b(tmp_path: Path) -> None:
    write(tmp_path, "LFM-1b_LEs.txt", "31435726\t2\t4\t4\t1385212958", "31435726\t2\t4\t3\t1385212642")
    dataset = LFM1b(tmp_path)
    assert rows(dataset.events()) == [
        ("31435726", "4", 1, datetime(2013, 11, 23, 13, 22, 38)),
        ("31435726", "3", 1, datetime(2013, 11, 23, 13, 17, 22)),
    ]
    assert not dataset.has_artists()
    write(tmp_path, "LFM-1b_tracks.txt", '3\tHells "Bells\t2', "4\tDemon Speeding\t2")
    write(tmp_path, "LFM-1b_artists.txt", "2\tRob Zombie")
    assert dataset.items().rows() == [
        ("3", "2", 'Hells "Bells', "Rob Zombie"), ("4", "2", "Demon Speeding", "Rob Zombie"),
    ]  # fmt: skip
    assert shown(dataset, tmp_path) == ['Hells "Bells - Rob Zombie', "Demon Speeding - Rob Zombie"]


def test_lfm_2b(tmp_path: Path) -> None:
    write(tmp_path, "listening-events.tsv", "user_id\ttrack_id\talbum_id\ttimestamp", "7\t11\t5\t2013-01-19 15:31:32")
    write(tmp_path, "tracks.tsv", "track_id\tartist_name\ttrack_name", '11\tHelstar\tThe "Black" Cat')
    dataset = LFM2b(tmp_path)
    assert rows(dataset.events()) == [("7", "11", 1, datetime(2013, 1, 19, 15, 31, 32))]
    assert dataset.items().rows() == [("11", "Helstar", 'The "Black" Cat')]
    assert shown(dataset, tmp_path) == ['The "Black" Cat - Helstar']
    write(tmp_path, "listening_events.tsv", "user_id\ttrack_id\ttimestamp", "7\t11\t2020-01-19 15:31:32")
    assert rows(LFM2b(tmp_path, "listening_events.tsv").events())[0][3] == datetime(2020, 1, 19, 15, 31, 32)


def test_lastfm_360k(tmp_path: Path) -> None:
    user = "00000c289a1829a808ac09c00daf10bc3c4e223b"
    write(tmp_path, "usersha1-artmbid-artname-plays.tsv",
          f"{user}\t3bd73256-3905-4f3a-97e2-8b341527f805\tbetty blowtorch\t2137", f'{user}\t\tdie "Ärzte\t1099',
          f"{user}\t\tnobody\t0", f"{user}\t\t\t5")  # fmt: skip
    dataset = LastFM360K(tmp_path)
    events = dataset.events()
    assert rows(events) == [(user, "betty blowtorch", 2137), (user, 'die "Ärzte', 1099)]
    assert ("rows left out: no name or no play", "2") in events.facts
    assert dataset.items().row(0) == ("betty blowtorch", "3bd73256-3905-4f3a-97e2-8b341527f805")
    assert shown(dataset, tmp_path)[:2] == ["betty blowtorch", 'die "Ärzte']


def playlist(pid: int, *tracks: str) -> dict[str, Any]:
    places = [
        {"pos": pos, "artist_name": f"A{track}", "track_uri": f"spotify:track:{track}", "duration_ms": 1000,
         "artist_uri": f"spotify:artist:{track}", "track_name": f"T{track}", "album_uri": "spotify:album:1"}
        for pos, track in enumerate(tracks)
    ]  # fmt: skip
    return {"name": "x", "collaborative": "false", "pid": pid, "modified_at": 1_493_424_000, "tracks": places}


def test_million_playlist(tmp_path: Path) -> None:
    for first, lists in ((0, [playlist(0, "a", "b"), playlist(1)]), (1000, [playlist(1000, "b")])):
        write(tmp_path, f"data/mpd.slice.{first}-{first + 999}.json", json.dumps({"info": {}, "playlists": lists}))
    day = datetime(2017, 4, 29)
    expected = [("0", "spotify:track:a", 1, day), ("0", "spotify:track:b", 1, day), ("1000", "spotify:track:b", 1, day)]
    assert rows(MillionPlaylist(tmp_path).events()) == expected
    assert rows(MillionPlaylist(tmp_path, slices=1).events()) == expected[:2]
    assert MillionPlaylist(tmp_path).items().row(1) == (
        "spotify:track:b", "spotify:artist:b", "Tb", "Ab", "spotify:album:1",
    )  # fmt: skip
    assert shown(MillionPlaylist(tmp_path), tmp_path) == ["Ta - Aa", "Tb - Ab"]


def test_thirty_music(tmp_path: Path) -> None:
    write(
        tmp_path, "relations/sessions.idomaar",
        'event.session\t287144\t1390231051\t{"numtracks":2,"playtime":547} {"subjects":[{"type":"user","id":44361}],'
        '"objects":[{"type":"track","id":4698874,"playstart":0,"playtime":274,"playratio":0.5,"action":"play"},'
        '{"type":"track","id":838286,"playstart":275,"playtime":272,"playratio":null,"action":"skip"}]}',
    )  # fmt: skip
    write(
        tmp_path, "entities/tracks.idomaar",
        'track\t4698874\t-1\t{"duration":1,"name":"Rob+Zombie/_/Demon+Speeding"}\t'
        '{"artists":[{"type":"person","id":7}],"albums":[],"tags":[]}',
    )  # fmt: skip
    dataset = ThirtyMusic(tmp_path)
    start = datetime(2014, 1, 20, 15, 17, 31)
    assert rows(dataset.events()) == [
        ("44361", "4698874", 1, start), ("44361", "838286", 1, datetime(2014, 1, 20, 15, 22, 6)),
    ]  # fmt: skip
    assert rows(ThirtyMusic(tmp_path, least_ratio=0.6).events()) == rows(dataset.events())[1:]
    assert dataset.items().rows() == [("4698874", "7", None, "Rob Zombie", "Demon Speeding")]
    assert shown(dataset, tmp_path) == ["Demon Speeding - Rob Zombie"]
    write(tmp_path, "relations/sessions.idomaar", "event.session\t1\tx")
    with pytest.raises(DataError, match=r"sessions\.idomaar: lines are not in the Idomaar format"):
        dataset.events()


def test_nowplaying_rs(tmp_path: Path) -> None:
    write(tmp_path, "user_track_hashtag_timestamp.csv", "user_id,track_id,hashtag,created_at",
          "81496937,cd52b3e5b51da29e5893dba82a418a4b,nowplaying,2014-01-01 05:54:21",
          "81496937,cd52b3e5b51da29e5893dba82a418a4b,rock,2014-01-01 05:54:21")  # fmt: skip
    dataset = NowPlayingRS(tmp_path)
    events = dataset.events()
    assert rows(events) == [("81496937", "cd52b3e5b51da29e5893dba82a418a4b", 1, datetime(2014, 1, 1, 5, 54, 21))]
    assert ("rows left out: further hashtags of a play", "1") in events.facts
    assert dataset.vectors() == {}
    names = ",".join(FEATURES)
    write(tmp_path, "context_content_features.csv", f"coordinates,{names},artist_id,place,track_id",
          f",{','.join('.5' for _ in FEATURES)},a1,,t1", f",{','.join('' for _ in FEATURES)},a2,,t2",
          f",{','.join('.5' for _ in FEATURES)},a1,,t1")  # fmt: skip
    assert dataset.items().rows() == [("t1", "a1"), ("t2", "a2")]
    features = dataset.vectors()["spotify"]
    assert features.ids.to_list() == ["t1"]
    assert shown(dataset, tmp_path) == ["a1", "a2"], "its artists are numbers, and its tracks have no names"
    np.testing.assert_array_equal(features.aligned(["t1"]), np.full((1, 9), 0.5, np.float32))


@pytest.mark.parametrize("dated", [True, False])
def test_talkplaydata_2(tmp_path: Path, dated: bool) -> None:
    turns = [
        {"turn_number": 1, "role": "user", "content": "Something loud"},
        {"turn_number": 1, "role": "music", "content": "3hGui3fVxJSf3OBPXAt8b3"},
        {"turn_number": 2, "role": "music", "content": "4pbJqGIASGPr0ZpGpnWkDn"},
    ]
    row = {"session_id": ["s1"], "user_id": ["u1"], "conversations": [turns]} | (
        {"session_date": ["2019-07-01"]} if dated else {}
    )
    (tmp_path / "data").mkdir()
    pl.DataFrame(row).write_parquet(tmp_path / "data" / "test-00000-of-00001.parquet")
    plays = rows(TalkPlayData2(tmp_path).events())
    assert [play[:3] for play in plays] == [("u1", "3hGui3fVxJSf3OBPXAt8b3", 1), ("u1", "4pbJqGIASGPr0ZpGpnWkDn", 1)]
    assert [play[3:] for play in plays] == [(datetime(2019, 7, 1),) if dated else ()] * 2
    with pytest.raises(DataError, match=r"has no file data/train-"):
        TalkPlayData2(tmp_path, "train").events()
