"""The model: a fitted recommender with an interface of ids."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from timbrec.data.interactions import Interactions
from timbrec.data.vocabulary import Vocabulary
from timbrec.errors import CannotRankError, DataError, did_you_mean
from timbrec.models.folder import read_model, write_model
from timbrec.protocols import Scorer
from timbrec.ranking.rank import rank
from timbrec.ranking.scorers import DotScorer
from timbrec.study.representation import Representation
from timbrec.types import Array, Float32, Int


@dataclass(frozen=True, eq=False)
class Model:
    """A scorer with the vocabularies of users and items, the users' interactions, and a description of the fit.

    `representation` is None for a recommender without content. `card` holds JSON values: the recommender, its settings,
    version and seed, and the software versions of the fit.
    """

    scorer: Scorer
    users: Vocabulary
    items: Vocabulary
    played: Interactions
    representation: Representation | None = None
    card: dict[str, Any] = field(default_factory=dict)

    def recommend(
        self,
        user: str | None = None,
        *,
        history: Iterable[str] | None = None,
        k: int = 10,
        candidates: Iterable[str] | None = None,
    ) -> pl.DataFrame:
        """The `k` best items for a known user, or for a history of item ids (fold-in), as a frame rank, item, score.

        Items that the user has played are left out. `candidates` defaults to all items the model can rank; the frame
        has fewer than `k` rows if there are fewer of them. Raises DataError for an unknown user, and for candidates or
        a history without a known item; CannotRankError if the recommender cannot fold in users or rank these items.
        """
        if (user is None) == (history is None):
            raise DataError("give either a user or a history", fix="recommend('user') or recommend(history=[...]).")
        scorer, row, exclude = self._known(user) if user is not None else self._folded_in(list(history or ()))
        rows = self._candidates(scorer, candidates)
        top = rank(scorer, np.array([row]), rows, exclude, k)
        ranked = top.items[0][top.items[0] >= 0]
        return pl.DataFrame(
            {
                "rank": np.arange(1, len(ranked) + 1),
                "item": self.items.take(ranked),
                "score": top.scores[0][: len(ranked)],
            }
        )

    def add_items(self, ids: Sequence[str], vectors: Float32[Array, "n dim"]) -> Model:
        """A model with new items after the present ones, from their vectors (n, dim), without another fit.

        Raises DataError for ids that are known or repeated, and for vectors of the wrong shape.
        """
        if len(ids) != len(vectors):
            raise DataError(f"{len(ids):,} ids for {len(vectors):,} vectors", fix="Give one vector per id.")
        known = [name for name, row in zip(ids, self.items.rows(ids), strict=True) if row >= 0]
        if known:
            raise DataError("the model has these items", count=len(known), example=known[0], fix="Add new items only.")
        items = Vocabulary([*self.items.ids, *ids])
        scorer = self.scorer.add_items(np.asarray(vectors, np.float32))
        return replace(self, scorer=scorer, items=items, played=replace(self.played, n_items=len(items)))

    def save(self, folder: Path | str) -> Path:
        """Write the model as a folder of safetensors, JSON and parquet, in one step; returns the folder."""
        return write_model(
            Path(folder), self.scorer, self.users, self.items, self.played, self.representation, self.card
        )

    @classmethod
    def load(cls, folder: Path | str) -> Model:
        """Read a model that `save` wrote. Raises DataError for a damaged folder or one of another format."""
        return cls(**read_model(Path(folder)))

    def _known(self, user: str) -> tuple[Scorer, int, Interactions]:
        row = int(self.users.rows([user])[0])
        if row < 0:
            hint = did_you_mean(user, self.users.ids.to_list())
            raise DataError(f"the model does not know user {user!r}", fix=f"{hint}Or give a history of item ids.")
        return self.scorer, row, self.played

    def _folded_in(self, history: list[str]) -> tuple[Scorer, int, Interactions]:
        """A scorer with a single user, who played these items, and that user's row and interactions."""
        if not isinstance(self.scorer, DotScorer):
            raise CannotRankError(f"{type(self.scorer).__name__} cannot fold in users by their history")
        ids, plays = np.unique(np.array(history, dtype=object), return_counts=True)
        rows = self.items.rows(ids.tolist())
        if not (rows >= 0).any():
            example = (str(ids[0]) if len(ids) else "nothing", self.items.ids[0])
            raise DataError(
                "the model knows no item of the history",
                count=len(ids),
                example=example,
                fix="The example shows an id of the history and one of the model: make them the same kind.",
            )
        table = pl.DataFrame({"user": np.zeros(len(rows), np.int64), "item": rows, "plays": plays})
        known = Interactions.of(table.filter(pl.col("item") >= 0), 1, len(self.items))
        scorer = replace(self.scorer, users=self.scorer.user_vectors(known))
        return scorer, 0, known

    def _candidates(self, scorer: Scorer, ids: Iterable[str] | None) -> Int[Array, "c"]:
        if ids is None:
            return np.arange(len(self.items)) if scorer.can_rank_cold else self.played.items
        names = list(ids)
        rows = self.items.rows(names)
        if not (rows >= 0).any():
            raise DataError("the model knows none of the candidates", count=len(names), example=names[:1] or None)
        return np.unique(rows[rows >= 0])
