"""Fitting a model to interactions and vectors in one call."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import numpy as np
import polars as pl

from timbrec.data.events import Events
from timbrec.data.frames import frame_of
from timbrec.data.log import LogConfig, Role, make_log
from timbrec.data.table_kinds import FrameTable
from timbrec.data.tables import open_table
from timbrec.data.vocabulary import Vocabulary
from timbrec.errors import ConfigError, DataError
from timbrec.models.catalogue import catalogue_of
from timbrec.models.fits import all_plays, facts_of
from timbrec.models.model import Model
from timbrec.protocols import Content
from timbrec.recommenders import recommender as make_recommender
from timbrec.store.vectors import vectors_of
from timbrec.study.representation import Representation, Source
from timbrec.study.warnings import log_warnings

_LOG = logging.getLogger(__name__)


def fit(
    interactions: Any,
    vectors: Any,
    recommender: str = "knn",
    *,
    columns: Mapping[str, str] | None = None,
    seed: int = 0,
    name: str = "vectors",
    **settings: Any,
) -> Model:
    """A model fitted to all interactions.

    `interactions` is a frame of polars, pandas or Arrow, or the file of a table. It has the columns `user` and `item`,
    and optionally `plays` and `time`, or the default names of a config: `user_id`, `track_id`, `timestamp`. `columns`
    maps these roles to others. The plays of a pair that has several rows are summed. The log is checked like that
    of a config, and warnings are logged. `vectors` are a pair (ids, array), a mapping of ids to vectors, a frame with a
    column of ids, a file or a vector source. Their items are the catalogue, including items without plays; interactions
    with other items are dropped. `settings` are those of the recommender.

    Raises DataError for rows that are incomplete or have no valid time, and if no item of the interactions has a
    vector; ConfigError for unknown settings.
    """
    source = vectors_of(vectors, name)
    items = Vocabulary(pl.Series(source.ids).cast(pl.String).sort())
    chosen = make_recommender(recommender, settings)
    users, played = all_plays(_events(interactions, columns or {}, items))
    content = Content(source.aligned(items.ids))
    scorer = chosen.fit(played, content, None, np.random.default_rng(seed))
    representation = Representation(name, (Source(source.digest, name),)) if chosen.uses_content else None
    card = facts_of(recommender, chosen, seed, representation)
    return Model.of(scorer, users, catalogue_of(items.ids), played, card, stores={name: source})


def _events(interactions: Any, columns: Mapping[str, str], items: Vocabulary) -> Events:
    """The plays of these items, read and checked as the log of a config is."""
    roles: tuple[Role, ...] = get_args(Role)
    if unknown := [role for role in columns if role not in roles]:
        raise ConfigError(f"`columns` has no key {unknown[0]!r}", fix=f"Its keys are {', '.join(roles)}.")
    is_file = isinstance(interactions, Path | str)
    table = open_table(interactions) if is_file else FrameTable(frame_of(interactions, "the log"), Path("the frame"))
    named = {role: role for role in roles if role in table.names and not is_file} | dict(columns)
    log = make_log(table, LogConfig.model_validate({"path": table.path, "columns": named}))
    known = log.restricted_to(items)
    if not len(known):
        raise DataError("no item of the interactions has a vector", example=(log.items.ids[0], items.ids[0]),
                        fix="Make the ids the same kind.")  # fmt: skip
    for sentence in log_warnings(log, items):
        _LOG.warning("%s", sentence)
    return known
