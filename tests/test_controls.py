"""Controls: shuffled vectors are uniform permutations, gaussian vectors have the moments of the train items."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import sqrtm

from timbrec.study.controls import VERSIONS, gaussian, shuffled, vectors_of

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


def test_gaussian_vectors_do_not_depend_on_rounding() -> None:
    """Equal variances and fewer tracks than dimensions leave the eigenvectors open: any rounding turns them."""
    rng = np.random.default_rng(0)
    turned = np.linalg.qr(rng.standard_normal((40, 40)))[0]
    for vectors in (np.concatenate([turned, -turned]), rng.standard_normal((12, 40))):
        plain = vectors.astype(np.float32)
        drawn = [
            gaussian(np.ascontiguousarray(given), np.arange(len(plain)), 0)
            for given in (plain, plain[::-1], plain * (1 + 1e-7 * rng.standard_normal(plain.shape)).astype(np.float32))
        ]
        for other in drawn[1:]:
            np.testing.assert_allclose(other, drawn[0], atol=2e-3)


def test_an_experiment_with_a_changed_control_is_another_one() -> None:
    """Cells of Gaussian controls made before their root was symmetric are made again; others are kept."""
    assert VERSIONS == {"gaussian": 2}
    drawn = gaussian(np.arange(12, dtype=np.float32).reshape(4, 3) ** 2, np.arange(4), 7)
    covariance = np.cov(np.arange(12).reshape(4, 3) ** 2, rowvar=False)
    normal = np.random.default_rng([7, 0x6_A5]).standard_normal((4, 3), dtype=np.float32)
    expected = normal @ sqrtm(covariance).real + (np.arange(12).reshape(4, 3) ** 2).mean(0)
    np.testing.assert_allclose(drawn, expected, rtol=1e-3, atol=1e-2)
