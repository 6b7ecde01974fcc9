"""The Echo Nest Taste Profile: play counts of the Million Song Dataset's songs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import polars as pl

from timbrec.data.events import Events, make_events
from timbrec.data.tables import open_table
from timbrec.datasets.shared.base import Dataset, read_lines, reading
from timbrec.store.vector_tables import LINES


@dataclass(frozen=True)
class TasteProfile(Dataset):
    """48 million rows of (user, song, plays) without time in the file `triplets`: tab-separated, no header.

    Items are song ids (SO...); derived files may have track ids instead. If the folder has sid_mismatches.txt, its
    songs, which are matched to wrong tracks, are left out. Counts of equal (user, song) rows add up.
    """

    triplets: str = "train_triplets.txt"

    name: ClassVar[str] = "Echo Nest Taste Profile"
    licence: ClassVar[str] = "research use (Million Song Dataset)"
    citation: ClassVar[str] = "Bertin-Mahieux, Ellis, Whitman, Lamere: The Million Song Dataset, ISMIR 2011"
    url: ClassVar[str] = "http://millionsongdataset.com/tasteprofile/"

    def events(self) -> Events:
        """One row per triplet, with its count and without time."""
        path = self.file(self.triplets)
        with reading(path):
            table = read_lines(path, ["user", "item", "plays"]).cast({"plays": pl.Int64})
            return make_events(table.join(self._mismatched(), on="item", how="anti", maintain_order="left"))

    def items(self) -> pl.DataFrame | None:
        """`track_id` (the song), `artist_id` (the artist's name) and `title` from unique_tracks.txt; None without it.

        For a song with several tracks, the first one counts.
        """
        path = Path(self.folder) / "unique_tracks.txt"
        if not path.is_file():
            return None
        columns = ["track", "track_id", "artist_id", "title"]
        parts = _lines(path).str.split_exact("<SEP>", 3).struct.rename_fields(columns).struct.unnest()
        return parts.drop("track").unique("track_id", keep="first", maintain_order=True)

    def has_artists(self) -> bool:
        """Whether there is unique_tracks.txt."""
        return (Path(self.folder) / "unique_tracks.txt").is_file()

    def _mismatched(self) -> pl.DataFrame:
        path = Path(self.folder) / "sid_mismatches.txt"
        lines = _lines(path) if path.is_file() else pl.Series(dtype=pl.String)
        return lines.str.extract(r"<(\S+) ").drop_nulls().unique().to_frame("item")


def _lines(path: Path) -> pl.Series:
    """The lines of a UTF-8 text file."""
    with reading(path):
        return pl.concat(list(open_table(path, LINES).blocks(["0"]))).to_series()
