"""Models that several trainings on the same train part share; the first of them fits the model."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from timbrec.errors import DataError
from timbrec.files import aside
from timbrec.places.locks import alone
from timbrec.recommenders.shared.saving import load_scorer, save_scorer
from timbrec.training.checkpoint import identity

if TYPE_CHECKING:
    from timbrec.data.interactions import Interactions
    from timbrec.protocols import Content, Scorer, Workspace
    from timbrec.training import TrainedRecommender

_LOG = logging.getLogger(__name__)


def fitted_once(
    recommender: TrainedRecommender,
    train: Interactions,
    content: Content,
    rng: np.random.Generator,
    workspace: Workspace,
    name: str,
) -> Scorer:
    """The scorer of a recommender that reads no content, fitted to `train` for all its `epochs`.

    If the workspace has a `shared` folder, the scorer is stored there and reused by every call with the same settings,
    train part and seed, in any process; processes that need it at the same time wait for the first of them. On a CPU a
    stored scorer equals a new fit to the bit. A damaged scorer is fitted again. The fit writes its log to the subfolder
    `name` of the workspace.
    """
    seed = int(rng.integers(2**63))

    def fit() -> Scorer:
        return recommender.fit(train, content, None, np.random.default_rng(seed), workspace.inside(name))

    if workspace.shared is None:
        return fit()
    place = workspace.shared / f"{name}-{_key(recommender, train, seed)}"
    place.parent.mkdir(parents=True, exist_ok=True)
    with alone(place.parent.with_name(f".{place.name}.lock")):  # another process may be fitting it
        if (kept := _read(place)) is not None:
            return kept
        scorer = fit()
        _store(scorer, place)
    return scorer


def _key(recommender: TrainedRecommender, train: Interactions, seed: int) -> str:
    facts = identity(recommender, train, None, None, seed) | {"epochs": recommender.epochs}
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


def _store(scorer: Scorer, place: Path) -> None:
    """Write the scorer in one step, unless another process has written it in the meantime."""
    with aside(place) as partial:
        save_scorer(scorer, partial)
        with suppress(OSError):  # another process was first
            partial.rename(place)
