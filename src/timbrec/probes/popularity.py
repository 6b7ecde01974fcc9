"""Popularity from the vector: the number of users who play a track."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import polars as pl

from timbrec.probes.shared.base import Context, Probe
from timbrec.probes.shared.labels import Labels


@dataclass(frozen=True)
class PopularityProbe(Probe):
    """The logarithm of the number of users in train who played a track, for tracks in train; split by artist."""

    own_tracks: ClassVar[bool] = True

    def labels(self, context: Context) -> Labels:
        """log(1 + users) of each track that is in train."""
        split, tracks = context.log("popularity")
        users = split.test.train.item_users
        played = users > 0
        return Labels(tracks.filter(pl.Series(played)), "numbers", np.log1p(users[played])[:, None], ("popularity",))
