"""LFM-2b: two billion dated plays of Last.fm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import polars as pl

from timbrec.data.events import Events, make_events
from timbrec.data.times import parsed_times
from timbrec.datasets.shared.base import Dataset, headed_table, reading


@dataclass(frozen=True)
class LFM2b(Dataset):
    """Plays of 120,322 users, and the names of tracks and artists.

    `file_name` is the file of plays: `listening-events.tsv` (user_id, track_id, album_id, timestamp), or
    `listening_events.tsv` of the subset of 2020. tracks.tsv names tracks and artists (track_id, artist_name,
    track_name). All are tab-separated with a header.
    """

    file_name: str = "listening-events.tsv"

    name: ClassVar[str] = "LFM-2b"
    licence: ClassVar[str] = "withdrawn over the licence of its source; earlier copies for research only"
    citation: ClassVar[str] = (
        "Schedl, Brandl, Lesota, Parada-Cabaleiro, Penz, Rekabsaz: LFM-2b: A Dataset of Enriched Music Listening "
        "Events for Recommender Systems Research and Fairness Analysis, CHIIR 2022"
    )
    url: ClassVar[str] = "http://www.cp.jku.at/datasets/LFM-2b/"

    def events(self) -> Events:
        """One row per play; times are UTC, as written."""
        path = self.file(self.file_name)
        with reading(path):
            plays = headed_table(path, {"user": "user_id", "item": "track_id", "time": "timestamp"})
            return make_events(plays.with_columns(parsed_times(plays["time"]).alias("time")))

    def items(self) -> pl.DataFrame:
        """`track_id`, `artist_id` (the artist's name) and `title`."""
        roles = {"track_id": "track_id", "artist_id": "artist_name", "title": "track_name"}
        return headed_table(self.file("tracks.tsv"), roles)

    def has_artists(self) -> bool:
        """Whether there is tracks.tsv."""
        return self.has_file("tracks.tsv")
