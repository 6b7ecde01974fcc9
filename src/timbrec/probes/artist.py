"""Artist from the vector: do tracks by one artist sound alike?"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import polars as pl

from timbrec.errors import DataError
from timbrec.probes.shared.base import Context, Probe
from timbrec.probes.shared.labels import Labels, class_labels
from timbrec.settings import Count


@dataclass(frozen=True)
class ArtistProbe(Probe):
    """The artist of each track, of the `artists` with most tracks, each with at least `least`; split by track.

    A split by artist would leave nothing to learn.
    """

    artists: Count = 100
    least: Count = 5

    own_tracks: ClassVar[bool] = True

    def labels(self, context: Context) -> Labels:
        """The artists of the run's items table. Raises DataError unless two artists have enough tracks."""
        _, tracks = context.log("artist")
        if "artist" not in tracks.columns:
            raise DataError("the artists of the tracks are not known", fix="Name a table of tracks under `items`.")
        counts = tracks.drop_nulls("artist").group_by("artist").len().filter(pl.col("len") >= self.least)
        chosen = counts.sort("len", "artist", descending=[True, False]).head(self.artists)["artist"]
        if len(chosen) < 2:
            raise DataError(f"fewer than two artists have {self.least} tracks", count=len(chosen),
                            fix="Set a smaller `least`.")  # fmt: skip
        kept = tracks.filter(pl.col("artist").is_in(chosen.implode()))
        labels = class_labels(kept.select("id"), kept["artist"])
        return replace(labels, remarks=("split by track, since the artist is the label",))
