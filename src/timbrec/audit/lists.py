"""Lists: unseen candidates only, each once, best first, and as many as there are."""

from __future__ import annotations

import numpy as np

from timbrec.audit.audited import Audited, sample
from timbrec.audit.finding import Finding
from timbrec.data.interactions import Interactions
from timbrec.data.split import SCENARIOS, Fold, Scenario
from timbrec.study.experiment import Experiment
from timbrec.types import Array, Bool, Float32, Int

_USERS = 1_000


def lists_clean(audited: Audited) -> Finding:
    """Count faults in the lists of every cell: foreign, seen or repeated items, gaps, short lists, rising scores."""
    train = audited.run.split.test.train
    faults, lists, example = 0, 0, ""
    for scenario in SCENARIOS:
        for experiment, task, items, scores in audited.lists(audited.experiments, scenario):
            if len(items) != len(task.users):
                return Finding(
                    False, f"{len(items):,} lists", f"{len(task.users):,} lists", f"{experiment.label}, {scenario}"
                )
            places = sample(len(items), _USERS)
            knows_cold = "cold" not in audited.run.read(experiment, []).refused or not len(audited.run.split.test.cold)
            candidates = _candidates(audited.run.split.test, experiment, scenario)
            candidates = candidates if knows_cold else np.intersect1d(candidates, train.items)
            by_rule = _faults(items[places], scores[places], task.users[places], candidates, train)
            lists += len(places)
            for name, wrong in by_rule.items():
                if wrong.any():
                    faults += int(wrong.sum())
                    example = example or f"{name}: {experiment.encoder or ''} {experiment.label}, {scenario}".replace(
                        "  ", " "
                    )
    return Finding(not faults, f"{faults:,} faults", "none", example or f"{lists:,} lists looked at")


def _candidates(fold: Fold, experiment: Experiment, scenario: Scenario) -> Int[Array, "c"]:
    """The candidates of a scenario by their definition: items of train, and new items as the cell's settings say."""
    policy = experiment.cold_candidates if scenario == "cold" else experiment.mixed_candidates
    old = np.unique(fold.train.item)
    new = np.unique(fold.cold.item) if policy == "tested" else np.setdiff1d(np.arange(fold.train.n_items), old)
    return {"hot": old, "cold": new, "mixed": np.sort(np.concatenate([old, new]))}[scenario]


def _faults(
    items: Int[Array, "users depth"],
    scores: Float32[Array, "users depth"],
    users: Int[Array, "users"],
    candidates: Int[Array, "c"],
    train: Interactions,
) -> dict[str, Bool[Array, "users"]]:
    """A mask of the faulty lists for every rule."""
    filled = items >= 0
    places, seen = train.of_users(users)
    played = np.zeros((len(users), train.n_items + 1), bool)  # the last column stands for "no item"
    played[places, seen] = True
    candidate = np.zeros(train.n_items + 1, bool)
    candidate[candidates] = True
    left = len(candidates) - (played[:, :-1] & candidate[:-1]).sum(1)
    ordered = np.sort(items, axis=1)
    with np.errstate(invalid="ignore"):  # -inf minus -inf in empty places
        rises = np.diff(scores, axis=1) > 0
    return {
        "an item that is no candidate": (filled & ~candidate[items]).any(1),
        "an item the user has played": (filled & np.take_along_axis(played, items % (train.n_items + 1), 1)).any(1),
        "an item twice": ((ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0)).any(1),
        "a gap": (filled[:, 1:] & ~filled[:, :-1]).any(1),
        "a list cut short": filled.sum(1) != np.minimum(left, items.shape[1]),
        "scores that rise": rises.any(1),
        "a place without an item that has a score": (filled != np.isfinite(scores)).any(1),
    }
