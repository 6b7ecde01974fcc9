"""Every fitted recommender of the catalogue, saved here and loaded in a process without the training data."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from test_recommenders import CONTENT, FOLD, NAMES, fit
from timbrec.data.interactions import Interactions
from timbrec.errors import CannotRankError, DataError
from timbrec.protocols import Scorer
from timbrec.recommenders.shared.saving import load_scorer, save_scorer

NEW = np.random.default_rng(8).standard_normal((3, 6)).astype(np.float32)
# user 0 has played nothing, user 1 old tracks, user 2 a track added later (row 41) as well, user 3 that alone
USERS, ITEMS = np.array([1, 1, 1, 2, 2, 3]), np.array([3, 7, 20, 3, 41, 41])
PLAYS, FIRST = np.array([1, 4, 2, 1, 9, 1]), np.array([5, 2, 9, 1, 2, 3])
ANSWER = """
import sys
from pathlib import Path
import numpy as np
sys.path.insert(0, sys.argv[1])
from timbrec.recommenders.shared.saving import load_scorer
from test_saving import answers

folder = Path(sys.argv[2])
for place in folder.iterdir():
    np.savez(folder / f"{place.name}.npz", **answers(load_scorer(place)))
"""


def answers(scorer: Scorer) -> dict[str, np.ndarray]:
    """The scores and vectors that a service needs, as far as the recommender provides them."""
    replies: dict[str, np.ndarray] = {}
    warm = np.arange(10)  # users and items that every fold of the test has in train
    replies["scores"] = scorer.score(np.arange(30), warm).numpy()
    try:
        if scorer.can_rank_cold:
            replies["all"] = scorer.score(np.arange(30), np.arange(40)).numpy()
        grown = scorer.add_items(NEW)
        replies["grown"] = grown.score(np.arange(30), np.arange(43)).numpy()
        histories = Interactions(USERS, ITEMS, PLAYS, FIRST, 4, 43)
        replies["folded in"] = grown.user_vectors(histories)
        old = Interactions(USERS[:3], ITEMS[:3], PLAYS[:3], FIRST[:3], 4, 40)
        replies["folded in before"] = scorer.user_vectors(old)
    except CannotRankError:
        pass
    return replies


@pytest.fixture(scope="module")
def fitted() -> dict[str, Scorer]:
    return {name: fit(name) for name in NAMES}


@pytest.mark.slow
def test_a_fresh_process_without_the_data_gives_the_same_answers(fitted: dict[str, Scorer], tmp_path: Path) -> None:
    assert (FOLD.train.item_users[:10] > 0).all()
    for name, scorer in fitted.items():
        save_scorer(scorer, tmp_path / name)
    command = [sys.executable, "-c", ANSWER, str(Path(__file__).parent), str(tmp_path)]
    done = subprocess.run(command, env=os.environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for name, scorer in fitted.items():
        mine, theirs = answers(scorer), dict(np.load(tmp_path / f"{name}.npz"))
        assert mine.keys() == theirs.keys()
        assert ("folded in before" in mine) == scorer_takes_content(name), name
        for question, answer in mine.items():
            np.testing.assert_array_equal(answer, theirs[question], err_msg=f"{name}: {question}")
            assert np.isfinite(answer).all()


def scorer_takes_content(name: str) -> bool:
    return name not in ("random", "new-first", "popularity", "elsa", "ease")


@pytest.mark.parametrize("name", [name for name in NAMES if scorer_takes_content(name)])
def test_histories_with_later_items_and_without_any(name: str, fitted: dict[str, Scorer]) -> None:
    replies = answers(fitted[name])
    before, after = replies["folded in before"], replies["folded in"]
    np.testing.assert_array_equal(after[:2], before[:2], err_msg="users without the added item")
    if name != "artist-mean":  # to which a track of an unknown artist says nothing
        assert np.abs(after[2] - after[1]).max() > 1e-3
        assert np.abs(after[3] - after[0]).max() > 1e-3


def test_logs_without_time_fold_in_the_same_after_items_were_added(fitted: dict[str, Scorer]) -> None:
    """BERT4Rec needs an order of plays of the same moment; it must not hang on how many items there are."""
    scorer = fitted["bert4rec"]
    for grown, n_items in ((scorer, 40), (scorer.add_items(NEW), 43)):
        timeless = Interactions(USERS[:3], ITEMS[:3], PLAYS[:3], None, 2, n_items)
        vectors = grown.user_vectors(timeless)
        np.testing.assert_array_equal(vectors, scorer.user_vectors(Interactions(*_columns(timeless), None, 2, 40)))


def _columns(pairs: Interactions) -> tuple[Any, Any, Any]:
    return pairs.user, pairs.item, pairs.plays


def test_artist_mean_scores_added_tracks_zero(fitted: dict[str, Scorer]) -> None:
    grown = fitted["artist-mean"].add_items(CONTENT.vectors[:2])
    assert not grown.score(np.arange(30), np.array([40, 41])).any()


def test_a_half_written_scorer_is_refused(fitted: dict[str, Scorer], tmp_path: Path) -> None:
    """A crash between writing the two files leaves arrays that do not belong to the structure."""
    save_scorer(fitted["knn"], tmp_path / "one")
    save_scorer(fit("knn", seed=1, train=FOLD.hot), tmp_path / "other")
    (tmp_path / "other" / "scorer.safetensors").replace(tmp_path / "one" / "scorer.safetensors")
    with pytest.raises(DataError, match=r"scorer.safetensors does not belong to scorer.json.*Fit and save it again"):
        load_scorer(tmp_path / "one")
    save_scorer(fitted["knn"], tmp_path / "one")
    assert load_scorer(tmp_path / "one").facts == fitted["knn"].facts
    assert sorted(path.name for path in (tmp_path / "one").iterdir()) == ["scorer.json", "scorer.safetensors"]
