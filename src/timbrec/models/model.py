"""The model: a fitted recommender with an interface of ids and names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from timbrec.data.interactions import Interactions
from timbrec.data.vocabulary import Vocabulary
from timbrec.errors import CannotRankError, DataError
from timbrec.models.catalogue import catalogue_of, further_recordings, labels, recordings
from timbrec.models.filters import Filters
from timbrec.models.index import Index
from timbrec.models.listeners import history_of, known_user
from timbrec.models.lists import Lists
from timbrec.models.names import Names
from timbrec.models.parts import Parts, grown_index, index_of
from timbrec.models.paths import way
from timbrec.models.shown import reasons_for, table_of
from timbrec.models.stores import check_new
from timbrec.places.locations import here
from timbrec.protocols import Scorer
from timbrec.ranking.scorers import DotScorer
from timbrec.types import Array, Bool, Float32, Int

if TYPE_CHECKING:
    from timbrec.store import VectorSource
    from timbrec.study.representation import Representation


@dataclass(frozen=True, eq=False, repr=False)
class Model:
    """A fitted recommender, its users and tracks, and their interactions.

    `catalogue` has a row per track with the columns of `catalogue.CATALOGUE`; its order is that of the item rows.
    `played` are the users' interactions. `card` holds JSON values: the recommender, its settings, version and seed, the
    representation, the expected figures, and the versions of the software. `index` holds the vectors of users and items
    for recommenders that score by an inner product, else None. `parts` returns the scorer and the transforms, which may
    have to be read first. `recording` (tracks,) numbers the recordings. `stores` returns the vectors of each encoder by
    its name, as they came from it; a saved model holds them as stores.
    """

    users: Vocabulary
    catalogue: pl.DataFrame
    played: Interactions
    card: dict[str, Any]
    index: Index | None
    parts: Callable[[], Parts]
    recording: Int[Array, "tracks"]
    stores: Callable[[], Mapping[str, VectorSource]] = dict

    @classmethod
    def of(
        cls,
        scorer: Scorer,
        users: Vocabulary,
        catalogue: pl.DataFrame,
        played: Interactions,
        card: dict[str, Any],
        steps: tuple[Any, ...] = (),
        stores: Mapping[str, VectorSource] | None = None,
    ) -> Model:
        """The model of a fitted scorer."""
        parts = Parts(scorer, steps)
        sources = dict(stores or {})
        card = card | {"ranks new": scorer.can_rank_cold, "varies": type(scorer).among is not Scorer.among}
        index, groups = index_of(scorer, played), recordings(catalogue)
        return cls(users, catalogue, played, card, index, lambda: parts, groups, lambda: sources)

    def __repr__(self) -> str:
        return f"<timbrec.Model {self.card['recommender']}: {len(self.users):,} users, {len(self.catalogue):,} tracks>"

    @cached_property
    def items(self) -> Vocabulary:
        """The ids of all tracks, in row order."""
        return Vocabulary(self.catalogue["track"])

    @cached_property
    def names(self) -> Names:
        """The tracks by the names that people give them."""
        return Names(self.items, self.catalogue)

    @property
    def scorer(self) -> Scorer:
        """The fitted recommender."""
        return self.parts().scorer

    @cached_property
    def representation(self) -> Representation | None:
        """The vectors the model was fitted on; None for a recommender without content."""
        from pydantic import TypeAdapter

        from timbrec.study.representation import Representation

        return TypeAdapter(Representation | None).validate_python(self.card.get("representation"))

    @cached_property
    def new(self) -> Bool[Array, "tracks"]:
        """(tracks,) whether nobody played the track yet."""
        return np.asarray(self.played.item_users == 0)

    def recommend(
        self,
        user: str | None = None,
        *,
        history: Iterable[str] | None = None,
        seeds: Iterable[str] | None = None,
        k: int = 10,
        candidates: Iterable[str] | None = None,
        reasons: int = 3,
        **filters: Any,
    ) -> pl.DataFrame:
        """The `k` best tracks for a known user, for a history of ids (fold-in), or for seeds (names of tracks).

        Returns a frame with rank, item (id), score, title, artist, album, year, new (nobody played it yet) and because
        (labels of the `reasons` played tracks that are most similar). `filters` are the fields of `Filters`;
        `candidates` are ids that may be listed, by default all that the model can rank. A history may hold unknown ids,
        seeds may not. The frame has fewer than `k` rows where the filters leave fewer.

        Raises DataError for an unknown user or seed, for candidates or a history without a known track, and for filters
        that leave nothing; CannotRankError if the recommender cannot fold in users.
        """
        if [user, history, seeds].count(None) != 2:
            raise DataError("give either a user or a history", fix="recommend('user') or recommend(history=[...]).")
        if k < 1:
            raise DataError("k must be at least 1", example=k, fix="Ask for at least one track.")
        who: int | Float32[Array, "dim"]
        if user is not None:
            who, played = known_user(user, self.users, self.played)
        elif seeds is not None:
            played = np.array(sorted({*self.names.rows(seeds).tolist()}))  # np.unique imports numpy.ma
            who = self._folded_in(self.items.take(played).to_list())[0]
        else:
            who, played = self._folded_in(list(history or ()))
        chosen = Filters(**filters)
        allowed = self._candidates(candidates) & chosen.allowed(self.catalogue, self.new)
        if not chosen.heard:
            allowed[played] = False
        rows, scores = self._listed(who, allowed, played[:0] if chosen.heard else played, k, chosen)
        because = reasons_for(self.index, rows, played, self._labels, reasons)
        return table_of(self.catalogue, rows, scores, self.new[rows], because)

    def similar(self, track: str, k: int = 10, **filters: Any) -> pl.DataFrame:
        """The `k` tracks with the vectors most similar to a track's, in the recommender: a frame as of `recommend`.

        `score` is the cosine. The track itself and its other recordings are left out. Raises DataError for an unknown
        track, CannotRankError for a recommender without vectors of items.
        """
        index = self._lists.vectors
        row = self.names.rows([track])
        chosen = Filters(**{"heard": True} | filters)
        allowed = chosen.allowed(self.catalogue, self.new)
        allowed[row] = False
        direction = index.directions(row)[0]
        if chosen.need_all_scores:
            scores = self._lists.without_hubs(index.scores(direction), direction, chosen)
            rows, scores = self._lists.best(scores, allowed, row, k, chosen)
        else:
            rows, scores = self._lists.nearest(index, direction, allowed, row, k, chosen, cosine=True)
        return table_of(self.catalogue, rows, scores, self.new[rows], None)

    def path(self, start: str, end: str, steps: int = 8, **filters: Any) -> pl.DataFrame:
        """A way from one track to another over `steps` tracks in between: a frame as of `recommend`, in playing order.

        The tracks in between are the nearest to evenly spaced points on the arc between both vectors. `score` is the
        cosine with the track before. Raises as `similar` does.
        """
        index = self._lists.vectors
        ends = self.names.rows([start, end])
        if ends[0] == ends[1]:
            raise DataError("the path starts and ends with the same track", example=start, fix="Name another track.")
        chosen = Filters(**{"heard": True} | filters)
        allowed = chosen.allowed(self.catalogue, self.new)
        limits = self._lists.limits(chosen, ends)
        allowed[ends] = False
        between = way(index, ends, steps, allowed, self._lists.ties, limits)
        rows = np.concatenate([ends[:1], between, ends[1:]])
        vectors = index.directions(rows)
        scores = np.append(np.float32(1), (vectors[1:] * vectors[:-1]).sum(1))
        return table_of(self.catalogue, rows, scores, self.new[rows], None)

    def add_items(
        self, ids: Sequence[str], vectors: Float32[Array, "n dim"], table: pl.DataFrame | None = None
    ) -> Model:
        """A model with new tracks after the present ones, from their encoder's vectors (n, dim), without another fit.

        `table` says more about them, as in `catalogue.catalogue_of`. Raises DataError for ids that are known or
        repeated, and for vectors of another shape or not finite; CannotRankError if the recommender cannot add tracks.
        """
        check_new(ids, np.asarray(vectors), self.stores(), self.card)
        known = [name for name, row in zip(ids, self.items.rows(ids), strict=True) if row >= 0]
        if known:
            raise DataError("the model has these items", count=len(known), example=known[0], fix="Add new items only.")
        added = catalogue_of(Vocabulary(ids).ids, table)
        content = self.content(vectors)
        later = cache(lambda: self.parts().plus(content))
        catalogue = pl.concat([self.catalogue, added])
        played = replace(self.played, n_items=len(catalogue))
        return replace(
            self, catalogue=catalogue, played=played, parts=later,
            index=grown_index(self.index, content, later, played, varies=bool(self.card.get("varies"))),
            recording=further_recordings(self.catalogue, self.recording, added),
        )  # fmt: skip

    def content(self, vectors: Float32[Array, "n dim"]) -> Float32[Array, "n out"]:
        """(n, out) the recommender's input: an encoder's vectors after the fitted transforms."""
        content = np.asarray(vectors, np.float32)
        for step in self.parts().steps:
            content = step(content)
        return content

    def save(self, folder: Path | str) -> Path:
        """Write a folder of safetensors, JSON and parquet in one step, and return it. Raises ConfigError for a URL."""
        from timbrec.models.folder import write_model

        parts = self.parts()
        return write_model(
            here(folder, "a model"), parts.scorer, parts.steps, users=self.users, catalogue=self.catalogue,
            played=self.played, card=self.card, index=self.index, recording=self.recording, stores=self.stores(),
        )  # fmt: skip

    @classmethod
    def load(cls, folder: Path | str) -> Model:
        """Read a model that `save` wrote; vectors are mapped into memory, the scorer is read when it is needed.

        Raises DataError for a damaged folder or one of another format, and ConfigError for a URL.
        """
        from timbrec.models.folder import read_model

        return cls(**read_model(here(folder, "a model"), Parts))

    @cached_property
    def _lists(self) -> Lists:
        name, seed = self.card.get("recommender", "the recommender"), int(self.card.get("seed", 0))
        return Lists(name, seed, self.catalogue, self.index, self.new, self.recording)

    @cached_property
    def _labels(self) -> pl.Series:
        return labels(self.catalogue)

    def _folded_in(self, history: list[str]) -> tuple[Float32[Array, "dim"], Int[Array, "n"]]:
        """The vector of a user who played these items, and the rows of the known ones."""
        if self.index is None:
            raise CannotRankError(
                f"{self._lists.recommender} cannot fold in users by their history", fix="Name a known user."
            )
        known = history_of(history, self.items)
        return self.scorer.user_vectors(known)[0], known.item

    def _candidates(self, ids: Iterable[str] | None) -> Bool[Array, "tracks"]:
        """(tracks,) whether the model may list each track."""
        mask = np.ones(len(self.catalogue), bool) if self.card.get("ranks new", True) else ~self.new
        if ids is None:
            return mask
        names = list(ids)
        rows = self.items.rows(names)
        if not (rows >= 0).any():
            raise DataError("the model knows none of the candidates", count=len(names), example=names[:1] or None)
        named = np.zeros(len(mask), bool)
        named[rows[rows >= 0]] = True
        return mask & named

    def _listed(
        self,
        who: int | Float32[Array, "dim"],
        allowed: Bool[Array, "tracks"],
        played: Int[Array, "m"],
        k: int,
        filters: Filters,
    ) -> tuple[Int[Array, "n"], Float32[Array, "n"]]:
        """The rows of a list for a user row or vector, best first, and their scores."""
        if self.index is None or (self.card.get("varies") and not allowed.all()):
            scores = self._scores(who, allowed)
        else:
            vector = self.index.users[who] if isinstance(who, int) else who
            if not filters.need_all_scores:
                return self._lists.nearest(self.index, vector, allowed, played, k, filters)
            scores = self.index.scores(vector)
        if filters.hubs:
            index = self._lists.vectors
            scores = self._lists.without_hubs(scores, index.users[who] if isinstance(who, int) else who, filters)
        return self._lists.best(scores, allowed, played, k, filters)

    def _scores(self, who: int | Float32[Array, "dim"], allowed: Bool[Array, "tracks"]) -> Float32[Array, "tracks"]:
        """(tracks,) scores for a user row or vector; not meaningful where `allowed` is false."""
        rows = np.flatnonzero(allowed)
        scores = np.zeros(len(allowed), np.float32)
        scorer = self.scorer
        if not isinstance(who, int) and isinstance(scorer, DotScorer):
            scorer, who = replace(scorer, users=who[None]), 0
        if len(rows):
            scores[rows] = scorer.score(np.array([who]), rows).numpy()[0]
        return scores
