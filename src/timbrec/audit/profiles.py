"""Profiles and scores: stored lists against scores recomputed from the tracks that the users played."""

from __future__ import annotations

import numpy as np

from timbrec.audit.audited import Audited, sample
from timbrec.audit.finding import Finding, nothing_to_check
from timbrec.audit.nearest import Nearest
from timbrec.data.split import SCENARIOS, Task
from timbrec.types import Array, Float32, Int

_USERS = 3
_TOLERANCE = 1e-5  # scores are cosines in float32; profiles of other tracks' vectors are off by far more
_RECOMPUTED = ("knn", "artist-mean")


def profiles_own_rows(audited: Audited) -> Finding:
    """Recompute hot, cold and mixed scores of KNN and artist-mean, controls included, from ids and definitions.

    All candidates of a few users are scored. Every listed score equals the recomputed score, and no candidate outside
    the list has a higher one. Trained recommenders are not recomputed; the detail names them.
    """
    cells = [cell for cell in audited.experiments if cell.recommender in _RECOMPUTED]
    largest, where, compared = 0.0, "", 0
    for experiment in cells:
        nearest = Nearest(audited, experiment)
        for scenario in SCENARIOS:
            for _, task, items, scores in audited.lists([experiment], scenario):
                for place in sample(len(items), _USERS):
                    difference, listed = _difference(audited, nearest, task, int(place), items[place], scores[place])
                    compared += listed
                    if difference > largest:
                        largest, where = difference, f"{experiment.title}, {scenario}"
    others = sorted({cell.label for cell in audited.experiments if cell.recommender not in _RECOMPUTED})
    skipped = f"; not recomputed: {', '.join(others)}" * bool(others)
    if not compared:
        return nothing_to_check(f"no cell of KNN or artist-mean is finished{skipped}")
    detail = f"{compared:,} scores" + f"; worst: {where}" * bool(where) + skipped
    return Finding(largest <= _TOLERANCE, f"off by {largest:.2g}", f"at most {_TOLERANCE:.0e}", detail)


def _difference(
    audited: Audited,
    nearest: Nearest,
    task: Task,
    place: int,
    items: Int[Array, "depth"],
    scores: Float32[Array, "depth"],
) -> tuple[float, int]:
    """The largest difference between listed and recomputed scores of a user, and the length of the list."""
    user, train = int(task.users[place]), audited.run.split.test.train
    played = train.item[train.starts[user] : train.starts[user + 1]]
    candidates = np.setdiff1d(task.candidates, played)
    expected = nearest.scores(user, candidates)
    column = np.full(train.n_items, -1)
    column[candidates] = np.arange(len(candidates))
    listed = items[items >= 0]
    if (column[listed] < 0).any():
        return np.inf, len(listed)
    again, stored = expected[column[listed]], scores[items >= 0]
    size = np.maximum(np.abs(again), 1)
    difference = float(np.max(np.abs(again - stored) / size, initial=0))
    left_out = np.setdiff1d(candidates, listed)
    if len(left_out) and len(listed):
        better = expected[column[left_out]].max() - again.min()
        difference = max(difference, float(better / size.max()))
    return difference, len(listed)
