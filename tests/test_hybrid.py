from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch.nn.functional import mse_loss, normalize

from timbrec.data.interactions import Interactions
from timbrec.protocols import Content
from timbrec.recommenders.hybrid import Hybrid, HybridModel
from timbrec.recommenders.random import Random
from timbrec.recommenders.shared.losses import nmse
from timbrec.training import validate
from trained_world import grad_of, world

STUDY = Path(__file__).parent / "data" / "study"
GOLDEN = np.load(STUDY / "hybrid.npz")
WEIGHTS = load_file(STUDY / "hybrid.safetensors")


def interactions(rows: np.ndarray) -> Interactions:
    user, item = np.nonzero(rows)
    return Interactions(user, item, np.ones(len(user), int), None, *rows.shape)


def study_model() -> HybridModel:
    train = interactions(GOLDEN["rows"])
    model = HybridModel(Hybrid.preset("tamm2026", width=8), train, Content(WEIGHTS["content"].numpy()))
    model.tower.layers.load_state_dict(
        {f"{n}.{k}": WEIGHTS[f"model.{n}.{k}"] for n in (0, 2) for k in ("weight", "bias")}
    )
    return model


def test_loss_and_gradients_of_the_study() -> None:
    """All 30 columns are targets, the two that nobody played included."""
    model = study_model()
    loss = model(model.examples(model.train_pairs), np.arange(16), np.random.default_rng(0))
    loss.backward()
    assert loss.item() == pytest.approx(float(GOLDEN["loss"]), abs=1e-5)
    for name, parameter in model.tower.layers.named_parameters():
        np.testing.assert_allclose(grad_of(parameter), GOLDEN[f"grad.model.{name}"], atol=1e-5)


def test_vectors_and_prediction_of_the_study() -> None:
    scorer = study_model().scorer()
    np.testing.assert_allclose(scorer.items, GOLDEN["item_vectors"], atol=1e-5)
    rows = GOLDEN["rows"]
    prediction = scorer.score(np.arange(16), np.arange(30)).numpy() * rows.sum(1, keepdims=True) - rows
    np.testing.assert_allclose(prediction, GOLDEN["prediction"], atol=1e-5)


def test_corrected_leaves_out_the_columns_that_nobody_played() -> None:
    train, content = interactions(GOLDEN["rows"]), Content(WEIGHTS["content"].numpy())
    model = HybridModel(Hybrid(width=8, scale="none"), train, content)
    model.load_state_dict(study_model().state_dict())
    loss = model(model.examples(train), np.arange(16), np.random.default_rng(0)).item()
    rows = torch.from_numpy(GOLDEN["rows"][:, train.items])
    vectors = torch.from_numpy(GOLDEN["item_vectors"][train.items])
    assert len(train.items) == 29
    assert loss == pytest.approx(dense(rows, vectors).item(), rel=1e-5)
    assert loss != pytest.approx(float(GOLDEN["loss"]), rel=1e-3)


def dense(x: torch.Tensor, vectors: torch.Tensor) -> torch.Tensor:
    """The dense loss of the paper."""
    return mse_loss(normalize(x @ vectors @ vectors.T - x, dim=-1), normalize(x, dim=-1))


def both_forms(
    users: int, items: int, dim: int, least: int, seed: int, dtype: torch.dtype
) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Loss and gradient of the sparse and of the dense form."""
    rng = np.random.default_rng(seed)
    rows = rng.random((users, items)) < rng.uniform(0.02, 0.3)
    for row in rows:
        row[rng.choice(items, least, replace=False)] = True
    pairs = interactions(rows)
    start = torch.from_numpy(rng.standard_normal((items, dim))).to(dtype)
    sparse = (torch.from_numpy(pairs.starts), torch.from_numpy(pairs.item))
    x, results = torch.from_numpy(rows).to(dtype), []
    forms: list[Callable[[torch.Tensor], torch.Tensor]] = [lambda a: nmse(*sparse, a, items), lambda a: dense(x, a)]
    for form in forms:
        weights = start.clone().requires_grad_()
        loss = form(normalize(weights))
        loss.backward()
        results.append((loss.detach(), grad_of(weights)))
    return results


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 40), st.integers(3, 60), st.integers(2, 30), st.integers(0, 99))
def test_the_sparse_loss_is_the_dense_one_in_float64(users: int, items: int, dim: int, seed: int) -> None:
    """The loss has one form for few users and another for many; the sizes cover both."""
    (sparse, gradient), (exact, expected) = both_forms(users, items, dim, 1, seed, torch.float64)
    assert sparse.item() == pytest.approx(exact.item(), rel=1e-9)
    assert (gradient - expected).norm() <= 1e-9 * expected.norm() + 1e-14


@pytest.mark.parametrize("shape", [(300, 400, 16), (20, 400, 64)], ids=["through A'A", "through the product"])
@pytest.mark.parametrize("seed", range(5))
def test_the_sparse_loss_is_the_dense_one_in_float32_from_two_plays_on(seed: int, shape: tuple[int, int, int]) -> None:
    sparse, gradient = both_forms(*shape, 2, seed, torch.float32)[0]
    exact, expected = both_forms(*shape, 2, seed, torch.float64)[1]
    assert sparse.item() == pytest.approx(exact.item(), rel=1e-4)
    assert (gradient - expected).norm() <= 1e-4 * expected.norm()


def test_users_with_one_play_or_none_give_no_noise() -> None:
    """The reconstruction of a single play is zero at its item for any A, so its gradient is zero or tiny."""
    weights = torch.randn(6, 4, requires_grad=True)
    starts = torch.tensor([0, 1, 1, 2])
    loss = nmse(starts, torch.tensor([2, 5]), normalize(weights), 6)
    loss.backward()
    assert loss.item() == pytest.approx(2 * 2 / (3 * 6), rel=1e-3)
    assert weights.grad is not None
    assert weights.grad.norm() < 1e-5


def test_training_beats_chance_and_recovers_cold_items() -> None:
    place = world()
    rng = np.random.default_rng(1)
    scorer = Hybrid(width=32, epochs=20).fit(place.fold.train, place.content, place.fold, rng)
    chance = Random().fit(place.fold.train, place.content, None, rng)
    assert validate(scorer, place.fold, "hot") > 1.6 * validate(chance, place.fold, "hot")
    assert validate(scorer, place.fold, "cold") > 1.3 * validate(chance, place.fold, "cold")
    assert scorer.facts["moved content"] == 0.0
