"""Fitted once: what several trainings need of the same train part is fitted by the first of them."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from timbrec.errors import DataError
from timbrec.recommenders.shared.saving import load_scorer, save_scorer
from timbrec.training.checkpoint import identity
from timbrec.training.journal import current, recording

if TYPE_CHECKING:
    from timbrec.data.interactions import Interactions
    from timbrec.protocols import Content, Scorer
    from timbrec.training import TrainedRecommender

_LOG = logging.getLogger(__name__)


def fitted_once(
    made: TrainedRecommender, train: Interactions, content: Content, rng: np.random.Generator, name: str
) -> Scorer:
    """A recommender without content, fitted to `train` for as long as it says.

    Where the journal has a `shared` folder, the scorer is left there for every later call with the same settings,
    train part and seed, in this process or another; on a CPU it is to the bit what fitting again would give. A
    scorer that cannot be read is fitted again. A fit is kept in the journal under `name`.
    """
    seed, shared = int(rng.integers(2**63)), current().shared
    place = None if shared is None else shared / f"{name}-{_key(made, train, seed)}"
    if place is not None and (found := _read(place)) is not None:
        return found
    with recording(current().inside(name)):
        scorer = made.fit(train, content, None, np.random.default_rng(seed))
    if place is not None:
        _leave(scorer, place)
    return scorer


def _key(made: TrainedRecommender, train: Interactions, seed: int) -> str:
    facts = identity(made, train, None, None, seed) | {"epochs": made.epochs}
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


def _read(place: Path) -> Scorer | None:
    if not place.is_dir():
        return None
    try:
        return load_scorer(place)
    except DataError as error:
        _LOG.warning("fitting again: %s", error)
        shutil.rmtree(place, ignore_errors=True)
        return None


def _leave(scorer: Scorer, place: Path) -> None:
    """Written beside its place, then renamed into it, so that another process sees all of it or nothing."""
    partial = place.with_name(f".{place.name}.{os.getpid()}")
    shutil.rmtree(partial, ignore_errors=True)
    save_scorer(scorer, partial)
    try:
        partial.rename(place)
    except OSError:  # another process was first
        shutil.rmtree(partial, ignore_errors=True)
