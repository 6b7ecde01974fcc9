"""Artist mean: KNN on the mean vector of a track's artist."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from timbrec.errors import ConfigError
from timbrec.protocols import Content, Workspace
from timbrec.ranking.scorers import Vectors, normalised
from timbrec.recommenders.knn import KNN, KNNScorer
from timbrec.recommenders.shared.scaling import Scaling

if TYPE_CHECKING:
    from timbrec.data.interactions import Interactions
    from timbrec.data.split import Fold


@dataclass(frozen=True)
class ArtistMean(KNN):
    """KNN with each track's vector replaced by the mean of the unit vectors of its artist's train tracks.

    The gain of KNN over artist-mean is the information in the audio beyond the artist. The content is scaled by
    `scale` before the means are taken; the means are not scaled again. A track with an unknown artist, or with an
    artist without train tracks, has the zero vector: its score is 0 and the tie order decides. Shuffling the vectors
    keeps the artists, so the shuffled control is not at chance. Needs an items table with an `artist` column.
    """

    version: ClassVar[int] = 2
    baseline: ClassVar[bool] = True
    uses_artists: ClassVar[bool] = True

    def fit(
        self,
        train: Interactions,
        content: Content,
        validation: Fold | None,
        rng: np.random.Generator,
        workspace: Workspace = Workspace(),
    ) -> ArtistMeanScorer:
        """A scorer on the artists' means. Raises ConfigError for content without artists."""
        if content.artist is None:
            raise ConfigError("artist-mean needs the artist of each track", fix="Name an items table with `artist`.")
        scaled = Scaling.of(self.scale, content.vectors[train.items])(content.vectors)
        means = replace(content, vectors=_means(scaled, content.artist, train))
        knn = KNN(self.profile, self.similarity, self.weights, scale="none")
        fitted = knn.fit(train, means, validation, rng, workspace)
        return ArtistMeanScorer(**{part.name: getattr(fitted, part.name) for part in fields(fitted)})


@dataclass(frozen=True, eq=False, kw_only=True)
class ArtistMeanScorer(KNNScorer):
    """A KNNScorer on artists' means. Added items count as items of an unknown artist."""

    def add_items(self, vectors: Vectors) -> KNNScorer:
        """A scorer with new items after the present ones, each with the zero vector."""
        return super().add_items(np.zeros_like(vectors))

    def embedded(self, vectors: Vectors) -> Vectors:
        """Zero vectors (n, dim): the artists of new items are unknown."""
        return np.zeros_like(vectors)


def _means(vectors: Vectors, artist: np.ndarray, train: Interactions) -> Vectors:
    """The mean unit vector of each item's artist over train items; zero where there is none."""
    from scipy.sparse import csr_array

    known = train.items[artist[train.items] >= 0]
    shape = (int(artist.max(initial=-1)) + 2, len(vectors))  # the last row stands for "no artist" and stays empty
    members = csr_array((np.ones(len(known), np.float32), (artist[known], known)), shape=shape)
    sums = np.asarray(members @ normalised(vectors))
    counts = np.bincount(artist[known], minlength=shape[0])[:, None]
    means = np.divide(sums, counts, out=np.zeros_like(sums), where=counts > 0)
    return np.asarray(means[artist])
