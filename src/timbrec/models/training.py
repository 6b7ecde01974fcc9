"""Fitting a model to interactions and vectors in one call."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from timbrec.data.events import Events
from timbrec.data.log import LogConfig, Role, make_log
from timbrec.data.table_kinds import FrameTable
from timbrec.data.vocabulary import Vocabulary
from timbrec.errors import DataError
from timbrec.models.catalogue import catalogue_of
from timbrec.models.fits import all_plays, facts_of
from timbrec.models.model import Model
from timbrec.protocols import Content
from timbrec.recommenders import recommender as make_recommender
from timbrec.store import VectorSource
from timbrec.store.vectors import Vectors
from timbrec.study.representation import Representation, Source
from timbrec.study.warnings import log_warnings

_LOG = logging.getLogger(__name__)


def fit(
    interactions: Any, vectors: Any, recommender: str = "knn", *, seed: int = 0, name: str = "vectors", **settings: Any
) -> Model:
    """A model fitted to all interactions.

    `interactions` is a polars or pandas frame with the columns `user` and `item`, and optionally `plays` and `time`.
    Columns may also have the default names of a config: `user_id`, `track_id` and `timestamp`. The plays of a pair that
    has several rows are summed. The frame is checked like the log of a config, and warnings are logged. `vectors` is a
    pair (ids, array) or a vector source. Its items are the catalogue, including items without plays; interactions with
    other items are dropped. `settings` are those of the recommender.

    Raises DataError for rows that are incomplete or have no valid time, and if no item of the interactions has a
    vector; ConfigError for unknown settings.
    """
    source = vectors if isinstance(vectors, VectorSource) else Vectors(vectors[0], np.asarray(vectors[1]), name)
    frame = interactions if isinstance(interactions, pl.DataFrame) else pl.from_pandas(interactions)
    items = Vocabulary(pl.Series(source.ids).cast(pl.String).sort())
    chosen = make_recommender(recommender, settings)
    users, played = all_plays(_events(frame, items))
    content = Content(source.aligned(items.ids))
    scorer = chosen.fit(played, content, None, np.random.default_rng(seed))
    representation = Representation(name, (Source(source.digest, name),)) if chosen.uses_content else None
    card = facts_of(recommender, chosen, seed, representation)
    return Model.of(scorer, users, catalogue_of(items.ids), played, card, stores={name: source})


def _events(frame: pl.DataFrame, items: Vocabulary) -> Events:
    """The plays of these items in a frame, read and checked as the log of a config is."""
    roles: tuple[Role, ...] = ("user", "item", "time", "plays")
    columns: dict[Role, str | list[str]] = {role: role for role in roles if role in frame.columns}
    table = FrameTable(frame, Path("the interactions"))
    log = make_log(table, LogConfig.model_validate({"path": table.path, "columns": columns}))
    known = log.restricted_to(items)
    if not len(known):
        raise DataError("no item of the interactions has a vector", example=(log.items.ids[0], items.ids[0]),
                        fix="Make the ids the same kind.")  # fmt: skip
    for sentence in log_warnings(log, items):
        _LOG.warning("%s", sentence)
    return known
