"""LFM-1b: a billion dated plays of Last.fm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import polars as pl

from timbrec.data.events import Events, make_events
from timbrec.data.times import TimeForm, parsed_times
from timbrec.datasets.shared.base import Dataset, line_blocks, read_lines, reading

_EVENTS = ["user", "artist", "album", "item", "time"]


@dataclass(frozen=True)
class LFM1b(Dataset):
    """Plays of 120,322 users, and the names of tracks and artists.

    Files, tab-separated without header: LFM-1b_LEs.txt (user, artist, album, track, seconds since 1970),
    LFM-1b_tracks.txt (id, name, artist) and LFM-1b_artists.txt (id, name).
    """

    name: ClassVar[str] = "LFM-1b"
    licence: ClassVar[str] = "withdrawn by its authors; earlier copies for research only"
    citation: ClassVar[str] = "Schedl: The LFM-1b Dataset for Music Retrieval and Recommendation, ICMR 2016"
    url: ClassVar[str] = "http://www.cp.jku.at/datasets/LFM-1b/"

    def events(self) -> Events:
        """One row per play, read block by block."""
        path = self.file("LFM-1b_LEs.txt")
        with reading(path):
            numbers = pl.col("user", "item", "time").cast(pl.Int64)
            plays = pl.concat([block.select(numbers) for block in line_blocks(path, _EVENTS)])
            return make_events(plays.with_columns(parsed_times(plays["time"], TimeForm(unit="s")).alias("time")))

    def items(self) -> pl.DataFrame:
        """`track_id`, `artist_id`, `title` and `artist`."""
        tracks = read_lines(self.file("LFM-1b_tracks.txt"), ["track_id", "title", "artist_id"])
        artists = read_lines(self.file("LFM-1b_artists.txt"), ["artist_id", "artist"])
        named = tracks.join(artists, on="artist_id", how="left", maintain_order="left")
        return named.select("track_id", "artist_id", "title", "artist")

    def has_artists(self) -> bool:
        """Whether there are the files of tracks and artists."""
        return self.has_file("LFM-1b_tracks.txt") and self.has_file("LFM-1b_artists.txt")
