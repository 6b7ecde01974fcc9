"""#nowplaying-RS: plays from tweets, with context and Spotify's audio features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import polars as pl

from timbrec.data.events import Events, make_events
from timbrec.data.times import parsed_times
from timbrec.datasets.shared.base import Dataset, headed_table, reading, with_count
from timbrec.store.vectors import Vectors

FEATURES = (
    "instrumentalness", "liveness", "speechiness", "danceability", "valence", "loudness", "tempo", "acousticness",
    "energy",
)  # fmt: skip


@dataclass(frozen=True)
class NowPlayingRS(Dataset):
    """11.6 million plays of 346,000 tracks by 139,000 users, in 2014.

    Files, comma-separated with a header: user_track_hashtag_timestamp.csv (user_id, track_id, hashtag, created_at) has
    a row per hashtag of a tweet, of which equal plays count once; context_content_features.csv (track_id, artist_id,
    features) describes the track of each play.
    """

    name: ClassVar[str] = "#nowplaying-RS"
    licence: ClassVar[str] = "as stated at its source; tweets are Twitter's, audio features Spotify's"
    citation: ClassVar[str] = (
        "Poddar, Zangerle, Yang: #nowplaying-RS: A New Benchmark Dataset for Building Context-Aware Music Recommender "
        "Systems, SMC 2018"
    )
    url: ClassVar[str] = "https://zenodo.org/records/3248543"

    def events(self) -> Events:
        """One row per play; times are UTC, as written."""
        path = self.file("user_track_hashtag_timestamp.csv")
        with reading(path):
            rows = headed_table(path, {"user": "user_id", "item": "track_id", "time": "created_at"})
            plays = rows.unique(maintain_order=True)
            events = make_events(plays.with_columns(parsed_times(plays["time"]).alias("time")))
        return with_count(events, "rows left out: further hashtags of a play", len(rows) - len(plays))

    def items(self) -> pl.DataFrame:
        """`track_id` and `artist_id`."""
        tracks = headed_table(
            self.file("context_content_features.csv"), {"track_id": "track_id", "artist_id": "artist_id"}
        )
        return tracks.unique("track_id", keep="first", maintain_order=True)

    def has_artists(self) -> bool:
        """Whether there is context_content_features.csv."""
        return self.has_file("context_content_features.csv")

    def vectors(self) -> dict[str, Vectors]:
        """The vectors "spotify": nine audio features of the tracks that have all of them, as they are."""
        if not self.has_artists():
            return {}
        path = self.file("context_content_features.csv")
        with reading(path):
            rows = headed_table(path, {"track_id": "track_id"} | {name: name for name in FEATURES})
            tracks = rows.unique("track_id", keep="first", maintain_order=True).drop_nulls()
            matrix = tracks.select(pl.col(FEATURES).cast(pl.Float32)).to_numpy()
        return {"spotify": Vectors(tracks["track_id"], np.ascontiguousarray(matrix))}
