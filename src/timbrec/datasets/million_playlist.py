"""The Spotify Million Playlist Dataset: playlists as users."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import polars as pl

from timbrec.data.compression import opened
from timbrec.data.events import Events, make_events
from timbrec.datasets.shared.base import Dataset, reading

_TRACK = ("track_uri", "artist_uri", "track_name", "artist_name", "album_uri")
_PLACES = pl.List(pl.Struct(dict.fromkeys(_TRACK, pl.String)))
_SCHEMA = {"playlists": pl.List(pl.Struct({"pid": pl.Int64, "modified_at": pl.Int64, "tracks": _PLACES}))}


@dataclass(frozen=True)
class MillionPlaylist(Dataset):
    """66 million places in a million playlists: a playlist is a user, and the day of its last change dates its tracks.

    All tracks of a playlist have the same time, so a split by time is one by playlists; `item-holdout` suits better.
    `slices` reads the first so many of the files data/mpd.slice.*.json, 0 all.
    """

    slices: int = 0

    name: ClassVar[str] = "Million Playlist Dataset"
    licence: ClassVar[str] = "non-commercial research, no redistribution, by the rules of the challenge"
    citation: ClassVar[str] = (
        "Chen, Lamere, Schedl, Zamani: RecSys Challenge 2018: Automatic Music Playlist Continuation, RecSys 2018"
    )
    url: ClassVar[str] = "https://www.aicrowd.com/challenges/spotify-million-playlist-dataset-challenge"

    def events(self) -> Events:
        """One row per place in a playlist."""
        seconds = pl.col("modified_at") * 1_000_000
        rows = [
            table.select(user="pid", item="track_uri", time=seconds.cast(pl.Datetime("us"))) for table in self._tables()
        ]
        return make_events(pl.concat(rows))

    def items(self) -> pl.DataFrame:
        """`track_id`, `artist_id`, `title`, `artist` and `album`, of which ids are Spotify's addresses."""
        columns = {"track_id": "track_uri", "artist_id": "artist_uri", "title": "track_name", "artist": "artist_name"}
        tables = [_first(table.select(**columns, album="album_uri")) for table in self._tables()]
        return _first(pl.concat(tables))

    def has_artists(self) -> bool:
        """Always: every place names the artist."""
        return True

    def _tables(self) -> Iterator[pl.DataFrame]:
        """The places of each file's playlists, a row each."""
        for path in self._files():
            with reading(path), opened(path) as file:
                playlists = pl.read_json(file.read(), schema=_SCHEMA)
                lists = playlists.explode("playlists").unnest("playlists")
                yield lists.explode("tracks").drop_nulls("tracks").unnest("tracks")

    def _files(self) -> list[Path]:
        first = self.file("data/mpd.slice.0-999.json")
        files = sorted(first.parent.glob("mpd.slice.*"), key=lambda path: int(path.name.split(".")[2].split("-")[0]))
        return files[: self.slices or None]


def _first(tracks: pl.DataFrame) -> pl.DataFrame:
    """The first row of each track."""
    return tracks.unique("track_id", keep="first", maintain_order=True)
