"""Trained recommenders on planted worlds: near the ceiling, in the right order, and at chance without signal."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

from timbrec.audit import planted
from timbrec.audit.learning import LEARNERS, Lesson, shuffled_cold
from timbrec.data.split import Scenario
from timbrec.protocols import Content, Scorer
from timbrec.recommenders import recommender

# The share of what the oracle has over chance that the short trainings of the audit reach, hot and cold.
SHARES = {
    "shallow": (0.50, 0.66),
    "contrastive": (0.51, 0.65),
    "hybrid": (0.63, 0.75),
    "bert4rec": (0.48, 0.63),
}
MARGIN = 0.08
SCENARIOS: tuple[Scenario, ...] = ("hot", "cold")


@cache
def lesson(name: str) -> Lesson:
    return Lesson({name: LEARNERS[name]})


@pytest.mark.parametrize("name", LEARNERS)
def test_it_reaches_its_share_of_the_ceiling(name: str) -> None:
    planted_lesson = lesson(name)
    oracle = planted_lesson.worlds[1.0].oracle()
    for scenario, share in zip(SCENARIOS, SHARES[name], strict=True):
        answered, best = planted_lesson.answer(name, scenario), planted_lesson.judged(oracle, scenario, 1.0)
        reached = (answered.value - answered.chance) / (best.value - best.chance)
        assert share - MARGIN < reached < 1


@pytest.mark.parametrize("check", [planted.planted_order, planted.planted_dial, planted.planted_silence])
def test_vectors_in_the_wrong_rows_fail_the_check(check: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert check(lesson("hybrid")).passed
    wrong = Lesson({"hybrid": LEARNERS["hybrid"]})
    rows = wrong.vectors
    if check is planted.planted_silence:  # where plays are uniform nothing is to be found: only a leak is refused
        monkeypatch.setattr(Lesson, "trained", lambda self, name, dial, content: leaking(self, dial))
    else:
        monkeypatch.setattr(Lesson, "vectors", lambda self, *of: np.roll(rows(*of), 1, axis=0))
    assert not check(wrong).passed


def test_cold_tracks_are_ranked_by_their_vectors_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Vectors that were not shuffled are refused as a control, and so is a scorer that knows more than the vectors."""
    assert shuffled_cold(lesson("hybrid")).passed
    with monkeypatch.context() as patch:
        patch.setattr("timbrec.audit.learning.shuffled", lambda vectors, seed: vectors)
        assert not shuffled_cold(lesson("hybrid")).passed
    monkeypatch.setattr(Lesson, "trained", lambda self, name, dial, content: leaking(self, dial))
    assert not shuffled_cold(lesson("hybrid")).passed


def leaking(here: Lesson, dial: float) -> Scorer:
    """It has seen the test."""
    fold = here.worlds[dial].split.test
    everything = np.zeros((fold.train.n_users, fold.train.n_items), np.float32)
    for pairs in (fold.hot, fold.cold):
        everything[pairs.user, pairs.item] = 1
    return recommender("knn", {"scale": "standardise"}).fit(
        fold.train, Content(everything.T.copy()), None, np.random.default_rng(0)
    )
