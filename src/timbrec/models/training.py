"""Fitting a model to interactions and vectors in one call."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from timbrec.data.interactions import Interactions
from timbrec.data.log import COLUMNS
from timbrec.data.vocabulary import Vocabulary
from timbrec.errors import DataError
from timbrec.models.catalogue import catalogue_of
from timbrec.models.fits import facts_of, pairs_of
from timbrec.models.model import Model
from timbrec.protocols import Content
from timbrec.recommenders import recommender as make_recommender
from timbrec.store import VectorSource
from timbrec.store.vectors import Vectors
from timbrec.study.representation import Representation, Source


def fit(
    interactions: Any, vectors: Any, recommender: str = "knn", *, seed: int = 0, name: str = "vectors", **settings: Any
) -> Model:
    """A model fitted to all interactions.

    `interactions` is a polars or pandas frame with the columns `user` and `item` and optionally `plays` and `time`, or
    with the names that a config takes by default (`user_id`, `track_id`, `timestamp`); the plays of rows with the same
    pair are summed. `vectors` is a pair (ids, array) or a vector source; its items are
    the catalogue, with or without plays. Interactions with other items are dropped. `settings` are those of the
    recommender. Raises DataError if no item of the interactions has a vector, ConfigError for unknown settings.
    """
    source = vectors if isinstance(vectors, VectorSource) else Vectors(vectors[0], np.asarray(vectors[1]), name)
    log = interactions if isinstance(interactions, pl.DataFrame) else pl.from_pandas(interactions)
    log = log.rename({name: role for role, name in COLUMNS.items() if name in log.columns and role not in log.columns})
    items = Vocabulary(pl.Series(source.ids).cast(pl.String).sort())
    chosen = make_recommender(recommender, settings)
    users, played = _pairs(log, items)
    content = Content(source.aligned(items.ids))
    scorer = chosen.fit(played, content, None, np.random.default_rng(seed))
    representation = Representation(name, (Source(source.digest, name),)) if chosen.uses_content else None
    card = facts_of(recommender, chosen, seed, representation)
    return Model.of(scorer, users, catalogue_of(items.ids), played, card, stores={name: source})


def _pairs(log: pl.DataFrame, items: Vocabulary) -> tuple[Vocabulary, Interactions]:
    """The users of the log, and its (user, item) pairs with plays and first times."""
    if missing := [column for column in ("user", "item") if column not in log.columns]:
        raise DataError(
            f"the interactions have no column {missing[0]!r}", fix=f"They have: {', '.join(log.columns[:20])}."
        )
    rows = log.with_columns(item=pl.Series(items.rows(log["item"])))
    known = rows.filter(pl.col("item") >= 0)
    if not len(known):
        example = (str(log["item"][0]) if len(log) else "nothing", items.ids[0])
        raise DataError("no item of the interactions has a vector", example=example, fix="Make the ids the same kind.")
    users = Vocabulary.of(known["user"])
    plays = pl.col("plays") if "plays" in log.columns else pl.lit(1, pl.Int64)
    rows = known.with_columns(plays.alias("plays"), user=pl.Series(users.rows(known["user"])))
    return users, pairs_of(rows, "time" in log.columns, len(users), len(items))
