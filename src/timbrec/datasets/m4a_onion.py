"""Music4All-Onion: the data set of the paper, with its audio features."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

import polars as pl

from timbrec.data.events import Events, make_events
from timbrec.data.tables import open_table
from timbrec.data.text import TextForm
from timbrec.data.times import TimeForm, parsed_times
from timbrec.datasets.shared.base import Dataset, read_lines, reading
from timbrec.store.vector_tables import read_matrix
from timbrec.store.vectors import Vectors

_FORM = TextForm("tab", quotes=False)
_TIME = "%Y-%m-%d %H:%M:%S"


@dataclass(frozen=True)
class M4AOnion(Dataset):
    """252,984,396 plays of 56,512 tracks by 119,140 users; `events` reads the plays in [`start`, `end`).

    The default window is the paper's. `features` names the feature files to read as vectors: "ivec256" is
    id_ivec256.tsv. Files are the official ones and, for `pairs`, files that the paper's authors derived from them; with
    `part`, the events are the pairs of that part of the paper's split.
    """

    start: datetime = datetime(2018, 2, 1)
    end: datetime = datetime(2019, 3, 1)
    features: tuple[str, ...] = ()
    part: str = ""

    name: ClassVar[str] = "Music4All-Onion"
    licence: ClassVar[str] = "CC BY-NC-SA 4.0; the audio is Music4All's and needs a signed agreement"
    citation: ClassVar[str] = (
        "Moscati, Parada-Cabaleiro, Deldjoo, Zangerle, Schedl: Music4All-Onion - A Large-Scale Multi-faceted "
        "Content-Centric Music Recommendation Dataset, CIKM 2022"
    )
    url: ClassVar[str] = "https://zenodo.org/records/6609677"

    def events(self) -> Events:
        """The plays of the window from userid_trackid_timestamp.tsv, read block by block; times are UTC."""
        if self.part:
            return self.pairs(self.part)
        path = self.file("userid_trackid_timestamp.tsv")
        with reading(path):
            table = open_table(path, _FORM)
            window = pl.col("timestamp").is_between(
                pl.lit(f"{self.start:{_TIME}}"), pl.lit(f"{self.end:{_TIME}}"), "left"
            )
            blocks = [block.filter(window) for block in table.blocks(["user_id", "track_id", "timestamp"])]
            plays = pl.concat(blocks).rename({"user_id": "user", "track_id": "item", "timestamp": "time"})
            return make_events(plays.with_columns(parsed_times(plays["time"], TimeForm(format=_TIME))))

    def vectors(self) -> dict[str, Vectors]:
        """The vectors of each file in `features`: the first column is the id, the others are the vector."""
        return {feature: self._feature(feature) for feature in self.features}

    def pairs(self, part: str) -> Events:
        """A part of the paper's split, "train", "val", "hot_test" or "cold_test", from <part>.pqt.

        One row per (user, track): `time` is the first play, `plays` the number of plays. trackid_sorted.csv maps track
        numbers to ids.
        """
        path, ids = self.file(f"{part}.pqt"), read_lines(self.file("trackid_sorted.csv"), ["idx", "item"], ",")
        with reading(path):
            pairs = open_table(path).read(["user_id", "track_id", "timestamp", "count"])
            numbered = ids.slice(1).cast({"idx": pl.Int64})
            named = pairs.join(numbered, left_on="track_id", right_on="idx", how="left", maintain_order="left")
            return make_events(named.select("item", user="user_id", time="timestamp", plays="count"))

    def _feature(self, feature: str) -> Vectors:
        path = self.file(f"id_{feature}.tsv")
        with reading(path):
            table = open_table(path, _FORM)
            ids, array, *_ = read_matrix(table, {"id": table.names[0], "vector": "*"})
            return Vectors(ids, array, feature)
