"""Music4All: 109,269 tracks with 30 s of audio each, and the listening histories of 15,602 users."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import polars as pl

from timbrec.data.events import Events, make_events
from timbrec.data.times import parsed_times
from timbrec.datasets.shared.base import Dataset, headed_table, reading

_FIRST_GENRE = pl.col("genres").str.split(",").list.first().str.strip_chars().alias("genre")


@dataclass(frozen=True)
class Music4All(Dataset):
    """Plays dated to the minute, artists, albums and genres of Music4All.

    Files, tab-separated with a header in spite of their suffix: listening_history.csv (user, song, timestamp),
    id_information.csv (id, artist, song, album_name) and, if it is there, id_genres.csv (id, genres; the first of them
    counts). Ids are those of the audio files, audios/<id>.mp3.
    """

    name: ClassVar[str] = "Music4All"
    licence: ClassVar[str] = "research only, by signed agreement with the authors"
    citation: ClassVar[str] = (
        "Santana, Pinhelli, Donini, Catharin, Mangolin, da Costa, Feltrim, Domingues: Music4All: A New Music Database "
        "and Its Applications, IWSSIP 2020"
    )
    url: ClassVar[str] = "https://sites.google.com/view/contact4music4all"

    def events(self) -> Events:
        """One row per play; times are UTC, as written."""
        path = self.file("listening_history.csv")
        with reading(path):
            plays = headed_table(path, {"user": "user", "item": "song", "time": "timestamp"})
            return make_events(plays.with_columns(parsed_times(plays["time"]).alias("time")))

    def items(self) -> pl.DataFrame:
        """`track_id`, `artist_id` (the artist's name), `title`, and `album` and `genre` where the files have them."""
        roles = {"track_id": "id", "artist_id": "artist", "title": "song", "album": "album_name"}
        tracks = headed_table(self.file("id_information.csv"), roles, optional=("album",))
        if not self.has_file("id_genres.csv"):
            return tracks
        genres = headed_table(self.file("id_genres.csv"), {"track_id": "id", "genres": "genres"})
        return tracks.join(genres.select("track_id", _FIRST_GENRE), on="track_id", how="left", maintain_order="left")

    def has_artists(self) -> bool:
        """Always: the artist's name is an id."""
        return True
