"""Profiles and scores: stored lists against scores recomputed from the tracks that the users played."""

from __future__ import annotations

import numpy as np

from timbrec.audit.audited import Audited, sample
from timbrec.audit.baselines import Counted, Linear
from timbrec.audit.finding import Finding, nothing_to_check
from timbrec.audit.nearest import Nearest
from timbrec.data.split import SCENARIOS, Task
from timbrec.types import Array, Float32, Int

_USERS = 3
_TOLERANCE = 1e-5  # scores are cosines in float32; profiles of other tracks' vectors are off by far more
_MOST = 3_000  # train tracks up to which EASE is recomputed
_RECOMPUTED: dict[str, type[Nearest | Counted | Linear]] = {
    "knn": Nearest,
    "artist-mean": Nearest,
    "popularity": Counted,
    "ease": Linear,
}


def profiles_own_rows(audited: Audited) -> Finding:
    """Recompute hot, cold and mixed scores of KNN, artist-mean, popularity and EASE from ids and definitions.

    Controls are included. All candidates of a few users are scored: every listed score equals the recomputed score, and
    no candidate outside the list has a higher one. Trained recommenders are not recomputed; the note names them.
    """
    small = len(audited.run.split.test.train.items) <= _MOST
    kinds = {name: kind for name, kind in _RECOMPUTED.items() if small or kind is not Linear}
    cells = [cell for cell in audited.experiments if cell.recommender in kinds]
    largest, where, compared = 0.0, "", 0
    for experiment in cells:
        again = kinds[experiment.recommender](audited, experiment)
        for scenario in SCENARIOS:
            for _, task, items, scores in audited.lists([experiment], scenario):
                for place in sample(len(items), _USERS):
                    difference, listed = _difference(audited, again, task, int(place), items[place], scores[place])
                    compared += listed
                    if difference > largest:
                        largest, where = difference, f"{experiment.title}, {scenario}"
    others = sorted({cell.label for cell in audited.experiments if cell.recommender not in kinds})
    note = f"scores not recomputed: {', '.join(others)}" * bool(others)
    if not compared:
        return nothing_to_check("; ".join(filter(None, ["no finished cell can be recomputed", note])))
    detail = "; ".join(filter(None, [f"{compared:,} scores", f"worst: {where}" * bool(where), note]))
    return Finding(largest <= _TOLERANCE, f"off by {largest:.2g}", f"at most {_TOLERANCE:.0e}", detail, note=note)


def _difference(
    audited: Audited,
    again: Nearest | Counted | Linear,
    task: Task,
    place: int,
    items: Int[Array, "depth"],
    scores: Float32[Array, "depth"],
) -> tuple[float, int]:
    """The largest difference between listed and recomputed scores of a user, and the length of the list."""
    user, train = int(task.users[place]), audited.run.split.test.train
    played = train.item[train.starts[user] : train.starts[user + 1]]
    candidates = np.setdiff1d(task.candidates, played)
    if not isinstance(again, Nearest):  # they rank known tracks alone
        candidates = np.intersect1d(candidates, train.items)
    expected = again.scores(user, candidates)
    column = np.full(train.n_items, -1)
    column[candidates] = np.arange(len(candidates))
    listed = items[items >= 0]
    if (column[listed] < 0).any():
        return np.inf, len(listed)
    recomputed, stored = expected[column[listed]], scores[items >= 0]
    size = np.maximum(np.abs(recomputed), 1)
    difference = float(np.max(np.abs(recomputed - stored) / size, initial=0))
    left_out = np.setdiff1d(candidates, listed)
    if len(left_out) and len(listed):
        better = expected[column[left_out]].max() - recomputed.min()
        difference = max(difference, float(better / size.max()))
    return difference, len(listed)
