"""Last.fm 1K: all plays of a thousand users, dated to the second."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import polars as pl

from timbrec.data.events import Events, make_events
from timbrec.data.times import parsed_times
from timbrec.datasets.shared.base import Dataset, read_lines, reading

_FILE = "userid-timestamp-artid-artname-traid-traname.tsv"
_COLUMNS = ["user", "time", "artist_mbid", "artist_id", "track_mbid", "title"]


@dataclass(frozen=True)
class LastFM1K(Dataset):
    """19 million dated plays of 992 users; newest first, tab-separated, no header, no quoting.

    Many rows lack MusicBrainz ids, so the id of a track is the artist's name and the title, joined by " :: ". Rows
    without a name or title are dropped.
    """

    name: ClassVar[str] = "Last.fm 1K"
    licence: ClassVar[str] = "non-commercial use; data from Last.fm"
    citation: ClassVar[str] = "Celma: Music Recommendation and Discovery in the Long Tail, Springer 2010; Last.fm"
    url: ClassVar[str] = "https://zenodo.org/records/6090214"

    def events(self) -> Events:
        """One row per play; times are UTC, as written."""
        path = self.file(_FILE)
        with reading(path):
            plays = self._plays()
            return make_events(plays.select("user", "item", parsed_times(plays["time"])))

    def items(self) -> pl.DataFrame:
        """`track_id`, `artist_id` (the artist's name), `title`, and the MusicBrainz ids if any play has them."""
        given = pl.col("artist_id", "title", "artist_mbid", "track_mbid").drop_nulls().first()  # null where all are
        return self._plays().group_by("item", maintain_order=True).agg(given).rename({"item": "track_id"})

    def has_artists(self) -> bool:
        """Always: the artist's name is an id."""
        return True

    def _plays(self) -> pl.DataFrame:
        table = read_lines(self.file(_FILE), _COLUMNS)
        return table.with_columns(item=pl.concat_str("artist_id", "title", separator=" :: ")).drop_nulls("item")
