"""The planted world: dials decide plays, vectors resemble real ones, and the right answer is known."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from timbrec.audit.trial import QUALITIES
from timbrec.data.split import Fold, Scenario
from timbrec.metrics.ndcg import NDCG
from timbrec.protocols import Content, Scorer
from timbrec.ranking.outcomes import outcome
from timbrec.ranking.rank import rank
from timbrec.recommenders.knn import KNN
from timbrec.statistics.intervals import crossed
from timbrec.worlds.planted import PlantedWorld

SCENARIOS: tuple[Scenario, ...] = ("hot", "cold")


@pytest.fixture(scope="module")
def world() -> PlantedWorld:
    return PlantedWorld(seed=1)


def silent(dial: float = 0.0, popularity: float = 0.0, co_listening: float = 0.0) -> PlantedWorld:
    return PlantedWorld(600, 400, dial, popularity, co_listening)


def dispersion(world: PlantedWorld) -> float:
    """Pearson's chi-square of the plays per item first released, over its degrees of freedom; 1 where uniform."""
    fit = world.split.validation.train
    counts = fit.item_users[fit.items]
    return float(((counts - counts.mean()) ** 2).sum() / counts.mean() / (len(counts) - 1))


def test_without_any_dial_every_item_is_equally_likely() -> None:
    # a user draws without replacement, which lowers the variance by the share of the catalogue that is drawn
    fit = silent().split.validation.train
    expected = 1 - len(fit) / fit.n_users / len(fit.items)
    assert dispersion(silent()) == pytest.approx(expected, abs=4 * np.sqrt(2 / len(fit.items)))


@pytest.mark.parametrize("dial", ["dial", "popularity"])
def test_taste_and_popularity_dials_make_items_unequal(dial: str) -> None:
    assert dispersion(silent(1.0) if dial == "dial" else silent(popularity=1.0)) > 2


def test_co_listening_lets_users_share_more_or_fewer_items() -> None:
    def spread(world: PlantedWorld) -> float:
        played = world.split.test.train.csr().toarray()
        played /= np.linalg.norm(played, axis=1, keepdims=True)
        return float((played @ played.T)[np.triu_indices(world.users, 1)].std())

    assert spread(silent(co_listening=2.0)) > 1.3 * spread(silent())


def test_both_folds_have_hot_and_cold_pairs_and_every_user_has_a_history(world: PlantedWorld) -> None:
    assert min(len(part) for part in world.split.parts().values()) > 1_000
    assert len(world.split.users) == world.users
    assert len(world.split.items) == world.items
    assert world.split.validation.train.user_items.min() >= 2


def test_row_i_is_item_i(world: PlantedWorld) -> None:
    train = world.split.test.train
    utility = world.utility(np.arange(world.users), train.items)
    expected = np.exp(utility - utility.max(1, keepdims=True))
    expected = (expected / expected.sum(1, keepdims=True)).sum(0)
    assert np.corrcoef(expected, train.item_users[train.items])[0, 1] > 0.7


def test_rows_and_ids_do_not_reveal_age(world: PlantedWorld) -> None:
    new = world.split.test.cold.items
    ids = world.split.items.ids.to_numpy()
    in_order_of_ids = np.argsort(np.argsort(ids))
    for rows in (new, in_order_of_ids[new]):
        assert abs(rows.mean() - world.items / 2) < 4 * world.items / np.sqrt(12 * len(new))


def test_the_same_seed_gives_the_same_world_and_a_dial_changes_no_other_draw() -> None:
    small = PlantedWorld(200, 200, seed=3)
    assert PlantedWorld(200, 200, seed=3).split.digest == small.split.digest
    assert PlantedWorld(200, 200, seed=4).split.digest != small.split.digest
    louder = PlantedWorld(200, 200, dial=2.0, seed=3)
    assert np.array_equal(louder.vectors(0.5), small.vectors(0.5))
    assert not np.array_equal(small.vectors(0.5, seed=1), small.vectors(0.5))


def test_repeated_plays_are_in_the_log_and_counted(world: PlantedWorld) -> None:
    train = world.split.test.train
    assert 1.2 < train.plays.mean() < 1.6
    pairs = sum(len(part) for part in (train, world.split.test.hot, world.split.test.cold))
    assert len(world.events) == pytest.approx(1.5 * pairs, rel=0.02)


@pytest.mark.parametrize("quality", [0.3, 0.7, 1.0])
def test_quality_is_the_correlation_with_taste(world: PlantedWorld, quality: float) -> None:
    # items are the known ones of a linear regression; unequal norms (cv 0.2) cost a few per cent
    vectors = world.vectors(quality).astype(np.float64)
    vectors = np.column_stack([vectors, np.ones(len(vectors))])
    latents = world._latents[world._original]
    fitted = vectors @ np.linalg.lstsq(vectors, latents, rcond=None)[0]
    explained = 1 - ((latents - fitted) ** 2).sum() / ((latents - latents.mean(0)) ** 2).sum()
    assert explained == pytest.approx(quality**2, abs=0.08)


def test_vectors_look_like_real_ones(world: PlantedWorld) -> None:
    vectors = world.vectors(1.0)
    norms = np.linalg.norm(vectors, axis=1)
    unit = vectors / norms[:, None]
    assert np.isfinite(vectors).all()
    assert vectors.dtype == np.float32
    assert np.mean(unit @ unit.mean(0)) > 0.6  # a large common mean
    assert norms.std() / norms.mean() > 0.15  # unequal norms
    centred = unit - unit.mean(0)
    latents = world._latents[world._original]
    loudest = np.linalg.svd(centred, full_matrices=False)[0][:, :3]
    taste = np.linalg.lstsq(latents, loudest, rcond=None)[0]
    assert ((latents @ taste) ** 2).sum() < 0.3 * 3  # the loudest directions are hardly taste
    coordinates = np.corrcoef(vectors.T, latents.T)[: world.dim, world.dim :]
    assert np.abs(coordinates).max() < 0.6  # no coordinate is a taste
    close = centred / np.linalg.norm(centred, axis=1, keepdims=True)
    nearest = (close @ close.T - 2 * np.eye(len(close))).max(1)
    assert 0.03 < (nearest > 0.99).mean() < 0.12  # near-duplicates


def test_rough_vectors_have_unequal_scales_and_heavy_tails() -> None:
    smooth, rough = (PlantedWorld(200, 1_000, dim=128, seed=1, rough=level).vectors(1.0) for level in (0.0, 1.0))
    assert smooth.std(0).max() < 3 * smooth.std(0).min()
    assert rough.std(0).max() > 30 * rough.std(0).min()
    kurtosis = [float((((x - x.mean(0)) / x.std(0)) ** 4).mean()) for x in (smooth, rough)]
    assert kurtosis[1] > kurtosis[0] + 1


def gains(scorer: Scorer, fold: Fold, scenario: Scenario, metric: NDCG) -> tuple[np.ndarray, np.ndarray]:
    task = fold.task(scenario)
    top = rank(scorer, task.users, task.candidates, fold.train, metric.k)
    return metric.gains(outcome(top.items, task, fold.train)), top.items


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_encoders_come_out_in_order_and_below_the_oracle(world: PlantedWorld, scenario: Scenario) -> None:
    fold, metric = world.split.test, NDCG(50)
    task = fold.task(scenario)
    knn = KNN(scale="centre")
    answers = [
        gains(
            knn.fit(fold.train, Content(world.vectors(quality)), None, np.random.default_rng(0)), fold, scenario, metric
        )
        for quality in QUALITIES
    ]
    for worse, better in pairwise([*answers, gains(world.oracle(), fold, scenario, metric)]):
        difference = np.concatenate((better[0], -worse[0]), 1)
        items = np.concatenate((better[1], worse[1]), 1)
        interval = crossed(difference, items, task.users, task.relevant)
        assert interval.value > 5 * (interval.high - interval.value) / 1.96


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_without_dials_the_oracle_is_at_chance(scenario: Scenario) -> None:
    world, metric = silent(), NDCG(20)
    fold = world.split.test
    task = fold.task(scenario)
    oracle, items = gains(world.oracle(), fold, scenario, metric)
    chance = metric.chance(outcome(items, task, fold.train)).mean()
    interval = crossed(oracle, items, task.users, task.relevant)
    assert abs(interval.value - chance) < 4 * (interval.high - interval.value) / 1.96
