"""Lists of a model's tracks: the best scores within the limits of the filters."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl

from timbrec.data.vocabulary import Vocabulary
from timbrec.errors import CannotRankError
from timbrec.models.filters import Filters
from timbrec.models.hubs import Proximity, density
from timbrec.models.index import Index
from timbrec.models.mixing import calibrated, shared_out
from timbrec.models.search import Limits, Scanned, Search, best
from timbrec.ranking.ties import tie_order
from timbrec.types import Array, Bool, Float32, Int

_ONCE = np.ones(1, np.float32)


@dataclass(frozen=True, eq=False)
class Lists:
    """Arrays that every list of a model needs, computed when they are first used.

    `recommender` is its name for messages; `seed` is that of the fit. `new` (tracks,) says which tracks nobody played
    yet; `recording` (tracks,) numbers the recordings.
    """

    recommender: str
    seed: int
    catalogue: pl.DataFrame
    index: Index | None
    new: Bool[Array, "tracks"]
    recording: Int[Array, "tracks"]

    def best(
        self,
        scores: Float32[Array, "tracks"],
        allowed: Bool[Array, "tracks"],
        played: Int[Array, "m"],
        k: int,
        filters: Filters,
    ) -> tuple[Int[Array, "n"], Float32[Array, "n"]]:
        """The rows of a list within all limits, best first, and their scores."""
        limits = self.limits(filters, played)
        if filters.new_share is None:
            return best(Scanned(scores, allowed, self.ties), k, limits)
        scores = calibrated(scores, self.new, allowed)
        if filters.new_share == "auto":
            return best(Scanned(scores, allowed, self.ties), k, limits)
        known, new = (best(Scanned(scores, allowed & kind, self.ties), k, limits)[0] for kind in (~self.new, self.new))
        rows = shared_out(known, new, filters.new_share, k)
        return rows, scores[rows]

    def nearest(
        self,
        index: Index,
        vector: Float32[Array, "dim"],
        allowed: Bool[Array, "tracks"],
        played: Int[Array, "m"],
        k: int,
        filters: Filters,
        *,
        cosine: bool = False,
    ) -> tuple[Int[Array, "n"], Float32[Array, "n"]]:
        """`best` for the inner products, or cosines, of all tracks and a vector, without computing all of them."""
        ranking = Search(index, vector[None], cosine=cosine).ranking(_ONCE, allowed, self.ties)
        return best(ranking, k, self.limits(filters, played))

    def limits(self, filters: Filters, played: Int[Array, "n"]) -> list[Limits]:
        """The limits on recordings and artists; recordings of these played tracks are used up."""
        limits = []
        if not filters.same:
            limits.append(Limits(self.recording, 1, frozenset(self.recording[played].tolist())))
        if filters.per_artist is not None:
            limits.append(Limits(self._artists, filters.per_artist))
        return limits

    def without_hubs(
        self, scores: Float32[Array, "tracks"], vector: Float32[Array, "dim"], filters: Filters
    ) -> Float32[Array, "tracks"]:
        """Scores (inner products with a vector) as cosines, corrected for hubs as the filters say."""
        length = np.float32(max(float(np.linalg.norm(vector)), 1e-12))
        cosines = scores / (self.vectors.divisors * length)
        if filters.hubs == "mutual":
            return self._proximity.scores(cosines, vector / length).astype(np.float32)
        return cosines - self._density / 2 if filters.hubs else cosines

    @property
    def vectors(self) -> Index:
        """The index. Raises CannotRankError for a recommender without vectors of tracks."""
        if self.index is None or self.index.items.shape[1] < 2:
            raise CannotRankError(
                f"{self.recommender} has no vectors of tracks to compare", fix="Fit another recommender."
            )
        return self.index

    @cached_property
    def ties(self) -> Int[Array, "tracks"]:
        """(tracks,) the place of each track among equal scores, as in rankings of the run."""
        return tie_order(len(self.catalogue), self.seed)

    @cached_property
    def _proximity(self) -> Proximity:
        return Proximity.of(self.vectors)

    @cached_property
    def _density(self) -> Float32[Array, "tracks"]:
        """(tracks,) the mean cosine of each track with its nearest ones; see `hubs.density`."""
        return density(self.vectors)

    @cached_property
    def _artists(self) -> Int[Array, "tracks"]:
        return Vocabulary.numbers(self.catalogue["artist"])
