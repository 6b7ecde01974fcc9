from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from torch.nn.functional import mse_loss, normalize

from timbrec.data.interactions import Interactions
from timbrec.errors import CannotRankError, ConfigError
from timbrec.protocols import Content
from timbrec.ranking.rank import rank
from timbrec.recommenders.ease import EASE
from timbrec.recommenders.elsa import ELSA, ELSAModel
from timbrec.recommenders.random import Random
from timbrec.training import validate
from trained_world import world

PLACE = world(80, 60, 12)
TRAIN = PLACE.fold.train


def test_training_is_that_of_the_dense_autoencoder() -> None:
    """The recipe of the authors' package in its own terms: dense rows in order, NMSE, NAdam; in float64."""
    settings = ELSA.preset("tamm2026", factors=9, batch=32)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = ELSAModel(settings, TRAIN).double()
    dense = model.factors.detach().clone().requires_grad_()
    rows = torch.from_numpy(TRAIN.csr().toarray()).double()
    ours, theirs = torch.optim.NAdam([model.factors], lr=0.1), torch.optim.NAdam([dense], lr=0.1)
    examples = model.examples(TRAIN)
    for users in np.split(np.arange(80), [32, 64]) * 3:
        ours.zero_grad()
        loss = model(examples, users, np.random.default_rng(0))
        loss.backward()
        ours.step()
        theirs.zero_grad()
        x, a = rows[users], normalize(dense)
        expected = mse_loss(normalize(x @ a @ a.T - x, dim=-1), normalize(x, dim=-1))
        expected.backward()
        theirs.step()
        assert loss.item() == pytest.approx(expected.item(), rel=1e-9)
    torch.testing.assert_close(model.factors, dense, rtol=1e-6, atol=1e-8)


def test_scores_are_the_reconstruction() -> None:
    scorer = ELSA(factors=8, epochs=2).fit(TRAIN, PLACE.content, None, np.random.default_rng(0))
    np.testing.assert_allclose(np.linalg.norm(scorer.items[TRAIN.items], axis=1), 1, atol=1e-6)
    rows = TRAIN.csr().toarray()
    expected = rows @ scorer.items @ scorer.items.T / rows.sum(1, keepdims=True)
    np.testing.assert_allclose(scorer.score(np.arange(80), np.arange(60)), expected, atol=1e-5)


def test_it_beats_chance_and_refuses_cold_items() -> None:
    place = world()
    scorer = ELSA(factors=24).fit(place.fold.train, place.content, place.fold, np.random.default_rng(1))
    chance = Random().fit(place.fold.train, place.content, None, np.random.default_rng(1))
    assert validate(scorer, place.fold) > 1.4 * validate(chance, place.fold, "hot")
    with pytest.raises(CannotRankError):
        rank(scorer, place.fold.cold.users, place.fold.cold.items, place.fold.train, 5)
    with pytest.raises(CannotRankError):
        scorer.add_items(place.content.vectors[:2])


def test_content_changes_nothing() -> None:
    other = Content(np.zeros((60, 3), np.float32))
    fits = [
        ELSA(factors=8, epochs=2).fit(TRAIN, content, None, np.random.default_rng(3))
        for content in (PLACE.content, other)
    ]
    np.testing.assert_array_equal(fits[0].items, fits[1].items)
    assert "zero vectors" not in fits[1].facts


def test_ease_is_ridge_regression_of_each_item_on_the_others() -> None:
    scorer = EASE(l2=7.0).fit(TRAIN, PLACE.content, None, np.random.default_rng(0))
    x = TRAIN.csr().toarray()[:, TRAIN.items].astype(np.float64)
    expected = np.zeros((x.shape[1], x.shape[1]))
    for item in range(x.shape[1]):
        others = np.arange(x.shape[1]) != item
        gram = x[:, others].T @ x[:, others] + 7.0 * np.eye(others.sum())
        expected[others, item] = np.linalg.solve(gram, x[:, others].T @ x[:, item])
    np.testing.assert_allclose(scorer.weights, expected, atol=1e-6)
    users, places = np.array([5, 0, 41]), np.array([3, 1, 20])
    scores = scorer.score(users, TRAIN.items[places])
    np.testing.assert_allclose(scores, (x @ expected)[users][:, places], atol=1e-5)


def test_ease_beats_chance_and_says_what_too_many_items_would_take() -> None:
    place = world()
    scorer = EASE(l2=50.0).fit(place.fold.train, place.content, None, np.random.default_rng(0))
    chance = Random().fit(place.fold.train, place.content, None, np.random.default_rng(1))
    assert validate(scorer, place.fold) > 1.3 * validate(chance, place.fold, "hot")
    with pytest.raises(ConfigError, match=r"EASE over \d+ items would take \d+ GiB"):
        EASE(max_items=10).fit(TRAIN, PLACE.content, None, np.random.default_rng(0))


MEASURED = """
import sys, threading, time
import numpy as np
from timbrec.data.interactions import Interactions
from timbrec.protocols import Content
from timbrec.recommenders.ease import EASE

def held():
    return int(open("/proc/self/statm").read().split()[1]) * 4096

def fit(n):
    user, item = np.nonzero(np.random.default_rng(0).random((500, n)) < 0.02)
    train = Interactions(user, item, np.ones(len(user), int), None, 500, n)
    EASE().fit(train, Content(np.zeros((n, 1), np.float32)), None, np.random.default_rng(0))

fit(30)
before, most, going = held(), [0], [True]

def watch():
    while going[0]:
        most[0] = max(most[0], held())
        time.sleep(0.001)

watcher = threading.Thread(target=watch)
watcher.start()
fit(int(sys.argv[1]))
going[0] = False
watcher.join()
print((most[0] - before) / int(sys.argv[1]) ** 2)
"""


def test_the_memory_that_ease_says_it_takes_is_what_it_takes() -> None:
    """Resident memory at its highest, in a process of its own: 24 bytes for each pair of items, as the refusal says."""
    process = subprocess.run([sys.executable, "-c", MEASURED, "2000"], capture_output=True, text=True, check=True)
    assert 20 < float(process.stdout) < 30
    train = Interactions(np.arange(30_000) % 7, np.arange(30_000), np.ones(30_000, int), None, 7, 30_000)
    with pytest.raises(ConfigError, match=r"EASE over 30,000 items would take 20 GiB. The limit is 20,000 items"):
        EASE().fit(train, PLACE.content, None, np.random.default_rng(0))
    assert pytest.approx(20.1, abs=0.05) == 24 * 30_000**2 / 2**30
