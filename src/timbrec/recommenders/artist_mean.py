"""Artist mean: KNN that knows the artist of a track but not the track itself."""

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
    """KNN with every track's vector replaced by the mean of the unit vectors of its artist's train tracks.

    The gain of KNN over it is the information in the audio beyond the artist. The content is scaled by `scale` before
    the means are taken, and the means are not scaled again. A track whose artist is unknown or has no train track gets
    the zero vector, so its score is 0 and the tie order decides. Artists remain known when vectors are shuffled, so
    the shuffled control is not at chance. Needs an items table with artists.
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
        """Fit KNN on the artists' means. Raises ConfigError if the content has no artists."""
        if content.artist is None:
            raise ConfigError("artist-mean needs the artist of each track", fix="Name an items table with `artist`.")
        scaled = Scaling.of(self.scale, content.vectors[train.items])(content.vectors)
        means = replace(content, vectors=_means(scaled, content.artist, train))
        knn = KNN(self.profile, self.similarity, self.weights, scale="none")
        fitted = knn.fit(train, means, validation, rng, workspace)
        return ArtistMeanScorer(**{part.name: getattr(fitted, part.name) for part in fields(fitted)})


@dataclass(frozen=True, eq=False, kw_only=True)
class ArtistMeanScorer(KNNScorer):
    """A KNNScorer on artists' means; the artists of added items are unknown."""

    def add_items(self, vectors: Vectors) -> KNNScorer:
        """A scorer with new items after the present ones, each with the zero vector of an unknown artist."""
        return super().add_items(np.zeros_like(vectors))


def _means(vectors: Vectors, artist: np.ndarray, train: Interactions) -> Vectors:
    from scipy.sparse import csr_array

    known = train.items[artist[train.items] >= 0]
    shape = (int(artist.max(initial=-1)) + 2, len(vectors))  # the last row stands for "no artist" and stays empty
    members = csr_array((np.ones(len(known), np.float32), (artist[known], known)), shape=shape)
    sums = np.asarray(members @ normalised(vectors))
    counts = np.bincount(artist[known], minlength=shape[0])[:, None]
    means = np.divide(sums, counts, out=np.zeros_like(sums), where=counts > 0)
    return np.asarray(means[artist])
