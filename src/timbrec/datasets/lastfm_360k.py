"""Last.fm 360K: play counts of artists."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import polars as pl

from timbrec.data.events import Events, make_events
from timbrec.datasets.shared.base import Dataset, read_lines, reading, with_count

_FILE = "usersha1-artmbid-artname-plays.tsv"
_COLUMNS = ["user", "artist_mbid", "item", "plays"]


@dataclass(frozen=True)
class LastFM360K(Dataset):
    """17.5 million rows of (user, artist, plays) without time, of 359,347 users; artists are the tracks.

    usersha1-artmbid-artname-plays.tsv is tab-separated, without header and quoting. The id of an artist is its name:
    many rows lack the MusicBrainz id. Rows without a name, and with fewer than one play, are dropped and counted.
    """

    name: ClassVar[str] = "Last.fm 360K"
    licence: ClassVar[str] = "non-commercial use; data from Last.fm"
    citation: ClassVar[str] = "Celma: Music Recommendation and Discovery in the Long Tail, Springer 2010; Last.fm"
    url: ClassVar[str] = "https://zenodo.org/records/6090214"

    def events(self) -> Events:
        """One row per user and artist, with its count and without time."""
        path = self.file(_FILE)
        with reading(path):
            table = read_lines(path, _COLUMNS).select("user", "item", pl.col("plays").str.strip_chars().cast(pl.Int64))
            plays = table.filter(pl.col("item").is_not_null() & (pl.col("plays") > 0))
            events = make_events(plays)
        return with_count(events, "rows left out: no name or no play", len(table) - len(plays))

    def items(self) -> pl.DataFrame:
        """`track_id` (the artist's name) and `artist_mbid`, if any row gives one."""
        rows = read_lines(self.file(_FILE), _COLUMNS).drop_nulls("item")
        first = pl.col("artist_mbid").drop_nulls().first()
        return rows.group_by("item", maintain_order=True).agg(first).rename({"item": "track_id"})
