"""Artist mean: how far knowing the artist goes, without hearing the track."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from timbrec.errors import ConfigError
from timbrec.protocols import Content, Workspace
from timbrec.ranking.scorers import Vectors, normalised
from timbrec.recommenders.knn import KNN, KNNScorer

if TYPE_CHECKING:
    from timbrec.data.interactions import Interactions
    from timbrec.data.split import Fold


@dataclass(frozen=True)
class ArtistMean(KNN):
    """KNN on the mean of the unit vectors of the artist's train tracks, for each track alike.

    What KNN gains over it is what the encoder hears beyond the artist. A track whose artist is unknown or has no
    train track gets the zero vector: score 0, in tie order. Raises ConfigError without an items table that has
    artists. On shuffled vectors it still knows the artists, so they are no null for it.
    """

    baseline: ClassVar[bool] = True

    def fit(
        self,
        train: Interactions,
        content: Content,
        validation: Fold | None,
        rng: np.random.Generator,
        workspace: Workspace = Workspace(),
    ) -> ArtistMeanScorer:
        """Replace the vectors, then fit as KNN does."""
        if content.artist is None:
            raise ConfigError("artist-mean needs the artist of each track", fix="Name an items table with `artist`.")
        means = _means(content.vectors, content.artist, train)
        fitted = super().fit(train, replace(content, vectors=means), validation, rng, workspace)
        return ArtistMeanScorer(**{part.name: getattr(fitted, part.name) for part in fields(fitted)})


@dataclass(frozen=True, eq=False, kw_only=True)
class ArtistMeanScorer(KNNScorer):
    """A KNNScorer that is not told the artists of new items."""

    def add_items(self, vectors: Vectors) -> KNNScorer:
        """The same scorer with new items behind the old ones, as tracks of unknown artists."""
        return super().add_items(np.zeros_like(vectors))


def _means(vectors: Vectors, artist: np.ndarray, train: Interactions) -> Vectors:
    from scipy.sparse import csr_array

    known = train.items[artist[train.items] >= 0]
    shape = (int(artist.max(initial=-1)) + 2, len(vectors))  # the last row answers for "no artist" and stays empty
    members = csr_array((np.ones(len(known), np.float32), (artist[known], known)), shape=shape)
    sums = np.asarray(members @ normalised(vectors))
    counts = np.bincount(artist[known], minlength=shape[0])[:, None]
    means = np.divide(sums, counts, out=np.zeros_like(sums), where=counts > 0)
    return np.asarray(means[artist])
