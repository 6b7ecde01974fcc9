"""Yambda-5B: plays of Yandex Music with audio vectors, in three sizes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, ClassVar, Literal

import numpy as np
import polars as pl
from pydantic import Field

from timbrec.data.events import Events, make_events
from timbrec.datasets.shared.base import Dataset, reading
from timbrec.store.vectors import Vectors

ORIGIN = datetime(2000, 1, 1)  # of times that are published as seconds from an unknown moment


@dataclass(frozen=True)
class Yambda(Dataset):
    """Plays of at least `least_ratio` percent of the track, dated to 5 s from an unknown origin: 0 is 2000-01-01.

    `size` is "50m", "500m" or "5b". `organic` keeps plays that no recommendation led to. Files: flat/<size>/
    listens.parquet, embeddings.parquet, and the mappings artist_item_mapping.parquet and album_item_mapping.parquet; a
    track with several artists or albums has the smallest id. The official test is the last day, from 2000-10-26
    22:13:20 to 2000-10-27 22:13:20 in these times.
    """

    size: Literal["50m", "500m", "5b"] = "50m"
    least_ratio: Annotated[float, Field(ge=0)] = 50
    organic: bool = False

    name: ClassVar[str] = "Yambda-5B"
    licence: ClassVar[str] = "Apache-2.0"
    citation: ClassVar[str] = (
        "Ploshkin, Tytskiy, Pismenny, Baikalov, Taychinov, Permiakov, Burlakov, Krofto, Savushkin: Yambda-5B - A "
        "Large-Scale Multi-modal Dataset for Ranking And Retrieval, RecSys 2025"
    )
    url: ClassVar[str] = "https://huggingface.co/datasets/yandex/yambda"

    def events(self) -> Events:
        """One row per play, and the number of plays that were too short or not organic."""
        path = self.file(f"flat/{self.size}/listens.parquet")
        with reading(path):
            rows = pl.scan_parquet(path, glob=False)
            rules = [
                pl.col("played_ratio_pct") >= self.least_ratio,
                *([pl.col("is_organic") == 1] if self.organic else []),
            ]
            seconds = pl.col("timestamp").cast(pl.Int64) * 1_000_000
            time = (pl.lit(ORIGIN).cast(pl.Datetime("us")) + seconds.cast(pl.Duration("us"))).alias("time")
            plays = rows.filter(*rules).select(user="uid", item="item_id", time=time).collect()
            total = rows.select(pl.len()).collect().item()
        facts = (("times", f"seconds from an unknown moment; 0 is {ORIGIN:%Y-%m-%d}"),
                 ("rows left out: short plays", f"{total - len(plays):,}"))  # fmt: skip
        return replace(make_events(plays), facts=facts)

    def items(self) -> pl.DataFrame:
        """`track_id`, `artist_id` and `album`; ids of artists and albums are numbers."""
        artists, albums = (
            pl.scan_parquet(self.file(f"{kind}_item_mapping.parquet"), glob=False)
            .group_by(pl.col("item_id").alias("track_id"))
            .agg(pl.col(f"{kind}_id").min())
            for kind in ("artist", "album")
        )
        joined = artists.join(albums, on="track_id", how="full", coalesce=True).sort("track_id").collect()
        return joined.select("track_id", "artist_id", album="album_id").cast(pl.String)

    def has_artists(self) -> bool:
        """Whether there are both mappings."""
        return self.has_file("artist_item_mapping.parquet") and self.has_file("album_item_mapping.parquet")

    def vectors(self) -> dict[str, Vectors]:
        """The vectors "audio", of unit length; only for the tracks of the size, since all take 4 GB and more."""
        if not self.has_file("embeddings.parquet"):
            return {}
        played = pl.scan_parquet(self.file(f"flat/{self.size}/listens.parquet"), glob=False).select("item_id").unique()
        rows = pl.scan_parquet(self.file("embeddings.parquet"), glob=False).join(played, on="item_id", how="semi")
        table = rows.select("item_id", "normalized_embed").sort("item_id").collect()
        dim = len(table["normalized_embed"][0])
        flat = table["normalized_embed"].explode().cast(pl.Float32).to_numpy()
        return {"audio": Vectors(table["item_id"].cast(pl.String), np.ascontiguousarray(flat.reshape(-1, dim)))}
