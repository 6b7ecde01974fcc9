"""Taste from the vector: the group of users that plays a track."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import polars as pl

from timbrec.data.interactions import Interactions
from timbrec.errors import DataError
from timbrec.probes.shared.base import Context, Probe
from timbrec.probes.shared.labels import Labels, class_labels
from timbrec.settings import Count
from timbrec.types import Array, Int


@dataclass(frozen=True)
class TasteProbe(Probe):
    """The group of users that plays a track more than the other groups do, for tracks with at least `least` users.

    Users are clustered into `groups` by k-means on their first singular vectors of the train part. A track belongs to
    the group with the largest ratio of its users in the group to those expected from its size; counts are smoothed by
    one expected user. Split by artist.
    """

    groups: Count = 8
    least: Count = 5
    dims: Count = 16

    own_tracks: ClassVar[bool] = True

    def labels(self, context: Context) -> Labels:
        """The group of each track that enough users play."""
        split, tracks = context.log("taste")
        train = split.test.train
        enough = np.flatnonzero(train.item_users >= self.least)
        if len(train.users) < 2 * self.groups or len(enough) < 2:
            raise DataError("there are too few users and tracks for groups of users",
                            example=f"{len(train.users):,} users, {len(enough):,} tracks",
                            fix="Set fewer `groups` or a smaller `least`.")  # fmt: skip
        groups = self._clusters(train)
        counts = np.zeros((train.n_items, self.groups))
        np.add.at(counts, (train.item, groups[train.user]), 1)
        share = np.bincount(groups[train.user], minlength=self.groups) / len(train)
        expected = train.item_users[:, None] * share
        chosen = ((counts + 1) / (expected + 1)).argmax(1)[enough]
        names = pl.Series([f"group {number + 1}" for number in chosen], dtype=pl.String)
        labels = class_labels(tracks[enough.tolist()], names)
        return replace(labels, remarks=(f"{len(enough):,} tracks have at least {self.least} users in train",))

    def _clusters(self, train: Interactions) -> Int[Array, "users"]:
        """The group of each user: k-means on rows of unit length."""
        from scipy.sparse.linalg import svds
        from sklearn.cluster import KMeans

        matrix = train.csr(np.ones(len(train))).astype(float)
        rank = min(self.dims, min(matrix.shape) - 1)
        start = np.random.default_rng(self.seed).standard_normal(min(matrix.shape))
        left, sizes, _ = svds(matrix, k=rank, v0=start)
        vectors = left * sizes
        vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        return np.asarray(KMeans(self.groups, n_init=4, random_state=self.seed).fit_predict(vectors), np.int64)
