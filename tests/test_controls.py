"""Controls: shuffled vectors are uniform permutations, gaussian vectors have the moments of the train items."""

from __future__ import annotations

import numpy as np
import pytest

from timbrec.study.controls import gaussian, shuffled, vectors_of

VECTORS = (
    np.random.default_rng(0).standard_normal((600, 5)) @ np.random.default_rng(1).standard_normal((5, 5)) + 3
).astype(np.float32)


def test_shuffled_vectors_are_a_permutation_of_the_vectors() -> None:
    permuted = shuffled(VECTORS, 0)
    order = np.lexsort(VECTORS.T), np.lexsort(permuted.T)
    assert np.array_equal(VECTORS[order[0]], permuted[order[1]])
    assert (permuted == VECTORS).all(1).mean() < 0.02
    assert np.array_equal(permuted, shuffled(VECTORS, 0))
    assert not np.array_equal(permuted, shuffled(VECTORS, 1))


def test_shuffling_is_uniform() -> None:
    rows = np.arange(3, dtype=np.float32)[:, None]
    seen = [tuple(shuffled(rows, seed)[:, 0]) for seed in range(600)]
    assert len(set(seen)) == 6
    assert min(seen.count(order) for order in set(seen)) > 60


def test_gaussian_vectors_have_mean_and_covariance_of_the_train_items() -> None:
    train = np.arange(400)
    moved = VECTORS.copy()
    moved[400:] += 100  # vectors of cold items must have no influence
    drawn = gaussian(np.tile(moved, (40, 1)), train, 0)
    covariance = np.cov(VECTORS[train].T)
    assert drawn.shape == (24_000, 5)
    assert drawn.dtype == np.float32
    error = np.sqrt(np.diag(covariance) / len(drawn))
    assert (abs(drawn.mean(0) - VECTORS[train].mean(0)) < 4.5 * error).all()
    np.testing.assert_allclose(np.cov(drawn.T), covariance, atol=0.04 * np.diag(covariance).max())
    assert not np.array_equal(gaussian(VECTORS, train, 1), gaussian(VECTORS, train, 0))


@pytest.mark.parametrize("train", [[0], [0, 1], list(range(600))])
def test_controls_of_constant_and_zero_vectors_are_finite(train: list[int]) -> None:
    rows = np.array(train)
    for vectors in (VECTORS, np.ones((600, 5), np.float32), np.zeros((600, 5), np.float32)):
        for control in ("real", "shuffled", "gaussian"):
            assert np.isfinite(vectors_of(control, vectors, rows, 0)).all()
    assert np.allclose(gaussian(np.ones((600, 5), np.float32), rows, 0), 1)
    assert vectors_of("real", VECTORS, rows, 0) is VECTORS
