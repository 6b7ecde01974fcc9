"""Does every profile come from the vectors of the very tracks the user played?"""

from __future__ import annotations

import numpy as np
import polars as pl

from timbrec.audit.audited import Audited, sample
from timbrec.audit.finding import Finding, nothing_to_check
from timbrec.store import VectorSource
from timbrec.study.experiment import Experiment
from timbrec.types import Array, Float, Int

_USERS, _ENTRIES = 3, 5
_TOLERANCE = 1e-3  # scores are cosines in float32; a profile of other tracks' vectors is off by far more


def profiles_own_rows(audited: Audited) -> Finding:
    """Stored scores of KNN against scores worked out from ids: each vector is asked for by its track's id alone."""
    cells = [one for one in audited.experiments if one.recommender == "knn" and one.control == "real"]
    worst, where, compared = 0.0, "", 0
    for experiment, task, items, scores in audited.lists(cells, "hot"):
        for place in sample(len(items), _USERS):
            listed = np.flatnonzero(items[place] >= 0)[:_ENTRIES]
            again = _scores(audited, experiment, int(task.users[place]), items[place][listed])
            stored = scores[place][listed]
            difference = float(np.max(np.abs(again - stored) / np.maximum(np.abs(again), 1), initial=0))
            compared += len(listed)
            if difference > worst:
                worst, where = difference, f"{experiment.encoder} {experiment.label}"
    if not compared:
        return nothing_to_check("no KNN cell ranks hot items in this run")
    return Finding(
        worst <= _TOLERANCE, f"off by {worst:.2g}", f"at most {_TOLERANCE}", f"{compared} scores; worst: {where}"
    )


def _scores(audited: Audited, experiment: Experiment, user: int, items: Int[Array, "n"]) -> Float[Array, "n"]:
    """KNN by its definition, in float64."""
    settings, train, ids = experiment.settings, audited.run.split.test.train, audited.run.split.items
    source = audited.inputs.sources[str(experiment.encoder)]
    shift, factor = _scaling(settings["scale"], source, ids.take(train.items))
    mine = slice(train.starts[user], train.starts[user + 1])
    played, asked = ((_each(source, ids.take(rows)) - shift) * factor for rows in (train.item[mine], items))
    weights = np.log1p(train.plays[mine]) if settings["weights"] == "log" else np.ones(len(played))
    profile = _unit(weights @ (_unit(played) if settings["profile"] == "unit" else played))
    return np.asarray((_unit(asked) if settings["similarity"] == "cosine" else asked) @ profile)


def _scaling(scale: str, source: VectorSource, train_ids: pl.Series) -> tuple[Float[Array, "dim"], Float[Array, "dim"]]:
    shift, factor = np.zeros(source.dim), np.ones(source.dim)
    if scale == "none":
        return shift, factor
    vectors = source.aligned(train_ids)
    shift = vectors.mean(0, dtype=np.float64)
    if scale == "standardise":
        deviation = vectors.std(0, dtype=np.float64)
        factor = np.divide(1, deviation, out=np.zeros(source.dim), where=deviation > 1e-6 * np.abs(shift))
    return shift, factor


def _each(source: VectorSource, ids: pl.Series) -> Float[Array, "n dim"]:
    """One vector at a time, so that no order of rows can matter."""
    return np.stack([source.aligned([one])[0].astype(np.float64) for one in ids])


def _unit(vectors: Float[Array, "*n dim"]) -> Float[Array, "*n dim"]:
    norms = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.divide(vectors, norms, out=np.zeros_like(vectors), where=norms > 0)
