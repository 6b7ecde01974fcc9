from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations, permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from made import TableScorer, fold, interactions
from timbrec import catalog
from timbrec.data.interactions import Interactions
from timbrec.data.split import Scenario, Task
from timbrec.errors import ConfigError
from timbrec.metrics.cold_recall import ColdRecall
from timbrec.metrics.cold_share import ColdShare
from timbrec.metrics.coverage import Coverage
from timbrec.metrics.hit_rate import HitRate
from timbrec.metrics.map import MAP
from timbrec.metrics.mrr import MRR
from timbrec.metrics.ndcg import NDCG
from timbrec.metrics.popularity import MeanPopularity
from timbrec.metrics.precision import Precision
from timbrec.metrics.recall import Recall
from timbrec.metrics.shared.base import GainMetric, Metric, Outcome
from timbrec.ranking.outcomes import outcome
from timbrec.ranking.rank import TopK, rank

GAINS: tuple[type[GainMetric], ...] = (HitRate, Recall, Precision, NDCG, MRR, MAP)
ALL: tuple[type[Metric], ...] = tuple(catalog.load("metrics", name) for name in catalog.names("metrics"))


def outcome_of(
    hits: Any, relevant: Any, candidates: Any = None, relevant_cold: Any = 0, cold: Any = None, items: Any = None
) -> Outcome:
    """The outcome of lists with these hits; item j is at place j unless `items` is given."""
    hits = np.atleast_2d(np.array(hits, bool))
    n, depth = hits.shape
    items = np.tile(np.arange(depth), (n, 1)) if items is None else np.atleast_2d(items)
    known = int(items.max(initial=0)) + 1 if cold is None else len(cold)
    return Outcome(
        items=items,
        hits=hits,
        relevant=np.broadcast_to(relevant, n).astype(np.int64),
        relevant_cold=np.broadcast_to(relevant_cold, n).astype(np.int64),
        candidates=np.broadcast_to(depth if candidates is None else candidates, n).astype(np.int64),
        cold=np.zeros(known, bool) if cold is None else np.array(cold),
        popularity=np.linspace(0, 1, known),
        pool=known,
    )


def expected_by_chance(metric: Metric, result: Outcome) -> float:
    chance = metric.chance(result)
    assert chance is not None
    return float(chance.mean())


def lg(rank: int) -> float:
    return float(1 / np.log2(rank + 1))


# Values by hand


@pytest.mark.parametrize(
    ("hits", "relevant", "expected"),
    [
        ([1, 0, 1, 0], 3, {HitRate: 1, Recall: 2 / 3, Precision: 2 / 4, MRR: 1, MAP: (1 + 2 / 3) / 3,
                           NDCG: (lg(1) + lg(3)) / (lg(1) + lg(2) + lg(3))}),
        ([0, 1, 0, 0], 1, {HitRate: 1, Recall: 1, Precision: 1 / 4, MRR: 1 / 2, MAP: 1 / 2, NDCG: lg(2)}),
        ([0, 0, 0, 0], 2, {HitRate: 0, Recall: 0, Precision: 0, MRR: 0, MAP: 0, NDCG: 0}),
        ([1, 1, 1, 1], 4, dict.fromkeys(GAINS, 1)),
        ([1, 1, 1, 1], 8, {HitRate: 1, Recall: 1 / 2, Precision: 1, MRR: 1, MAP: 1 / 2, NDCG: 1}),
        ([0, 0, 0, 1], 9, {HitRate: 1, Recall: 1 / 9, Precision: 1 / 4, MRR: 1 / 4, MAP: 1 / 36,
                           NDCG: lg(4) / (lg(1) + lg(2) + lg(3) + lg(4))}),
    ],
)  # fmt: skip
def test_values_by_hand_at_4(hits: list[int], relevant: int, expected: dict[type[GainMetric], float]) -> None:
    for metric, value in expected.items():
        assert metric(4).values(outcome_of(hits, relevant))[0] == pytest.approx(value, abs=1e-12), metric.name


def test_places_after_k_are_ignored() -> None:
    deep, cut = outcome_of([[0, 1, 0, 1, 1, 1]], 4), outcome_of([[0, 1, 0]], 4, candidates=6)
    for metric in GAINS:
        assert metric(3).values(deep) == metric(3).values(cut)


def test_precision_of_a_short_list_still_divides_by_k() -> None:
    short = outcome_of([[1, 0, 0, 0, 0]], 1, candidates=2, items=[[0, 1, -1, -1, -1]])
    assert Precision(5).values(short).tolist() == [1 / 5]
    assert Recall(5).values(short).tolist() == [1]


# Two other implementations


@pytest.fixture(scope="module")
def lists() -> tuple[TopK, Interactions, Outcome]:
    """Tie-free rankings of 70 items for 40 users with 1 to 60 relevant items each."""
    rng = np.random.default_rng(0)
    scores = rng.permuted(np.tile(np.arange(70.0), (40, 1)), axis=1)
    relevant = interactions(
        [(u, i) for u in range(40) for i in rng.permutation(70)[: 1 + 3 * u // 2]], 40, 70
    )  # fmt: skip
    nothing = interactions([], 40, 70)
    task = Task("hot", np.arange(70), relevant)
    ranked = rank(TableScorer(scores), task.users, task.candidates, nothing, 70)
    return ranked, relevant, outcome(ranked.items, task, nothing)


KS = (1, 2, 5, 10, 50, 70)


@pytest.mark.parametrize("k", KS)
def test_equal_to_rs_metrics(lists: tuple[TopK, Interactions, Outcome], k: int) -> None:
    rs_metrics = pytest.importorskip("rs_metrics", reason="rs_metrics is an oracle of these metrics")
    ranked, relevant, result = lists
    true = {u: relevant.item[relevant.user == u].tolist() for u in range(40)}
    predicted = {u: ranked.items[u].tolist() for u in range(40)}
    names: dict[type[GainMetric], str] = {
        HitRate: "hitrate",
        Recall: "recall",
        Precision: "precision",
        NDCG: "ndcg",
        MRR: "mrr",
        MAP: "mapr",
    }
    for metric, name in names.items():
        values = getattr(rs_metrics, name)(true, predicted, k=k, apply_mean=False)
        np.testing.assert_allclose(metric(k).values(result), values, atol=1e-9, rtol=0, err_msg=name)
    assert Coverage(k).value(result) == pytest.approx(rs_metrics.coverage(list(range(70)), predicted, k=k), abs=1e-9)


@pytest.fixture(scope="module")
def ranx() -> Iterator[Any]:
    """The library with its compiler off: compiling would take minutes."""
    numba = pytest.importorskip("numba", reason="ranx is an oracle of these metrics and needs numba")
    compiles, numba.config.DISABLE_JIT = numba.config.DISABLE_JIT, True
    yield pytest.importorskip("ranx", reason="ranx is an oracle of these metrics")
    numba.config.DISABLE_JIT = compiles


@pytest.mark.parametrize("k", KS)
def test_equal_to_ranx(lists: tuple[TopK, Interactions, Outcome], ranx: Any, k: int) -> None:
    ranked, relevant, result = lists
    true = ranx.Qrels({f"{u:02}": {str(i): 1 for i in relevant.item[relevant.user == u]} for u in range(40)})
    predicted = ranx.Run(
        {
            f"{u:02}": {str(i): float(score) for i, score in zip(ranked.items[u], ranked.scores[u], strict=True)}
            for u in range(40)
        }
    )
    names: dict[type[GainMetric], str] = {
        HitRate: "hit_rate",
        Recall: "recall",
        Precision: "precision",
        NDCG: "ndcg",
        MRR: "mrr",
        MAP: "map",
    }
    values = ranx.evaluate(true, predicted, [f"{name}@{k}" for name in names.values()], return_mean=False)
    for metric, name in names.items():
        np.testing.assert_allclose(metric(k).values(result), values[f"{name}@{k}"], atol=1e-9, rtol=0, err_msg=name)


# Chance


SIZES = [(c, r) for c in range(1, 7) for r in range(1, c + 1)]


@pytest.mark.parametrize("k", [1, 2, 3, 5, 8])
@pytest.mark.parametrize("metric", GAINS, ids=lambda metric: metric.name)
def test_chance_is_the_mean_over_all_orders(metric: type[GainMetric], k: int) -> None:
    for candidates, relevant in SIZES:
        places = list(combinations(range(candidates), relevant))  # each represents the same number of permutations
        hits = np.zeros((len(places), 8), bool)
        for row, chosen in enumerate(places):
            hits[row, list(chosen)] = True
        every = outcome_of(hits, relevant, candidates)
        expected = metric(k).values(every).mean()
        assert np.asarray(metric(k).chance(every)) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("k", [1, 2, 4, 8])
def test_chance_of_cold_recall_is_the_mean_over_all_orders(k: int) -> None:
    orders = np.array(list(permutations(range(5))))
    items = np.pad(orders, ((0, 0), (0, 3)), constant_values=-1)
    cold = [True, True, False, False, True]
    for relevant in ([0], [0, 1], [0, 1, 2], [2, 4, 3], [0, 1, 2, 3, 4]):
        every = outcome_of(np.isin(items, relevant), len(relevant), 5, sum(cold[i] for i in relevant), cold, items)
        metric = ColdRecall(k)
        np.testing.assert_allclose(metric.chance(every), metric.values(every).mean(), atol=1e-12)


@pytest.mark.parametrize(
    ("candidates", "relevant", "k"), [(56_512, 1, 50), (56_512, 300, 50), (1_000_000, 2_000, 100), (589, 589, 20)]
)
def test_chance_of_large_catalogues_stays_exact(candidates: int, relevant: int, k: int) -> None:
    from scipy.stats import hypergeom

    empty = outcome_of(np.zeros((1, k), bool), relevant, candidates)
    places = np.arange(k)
    alive = np.cumprod(np.append(1, 1 - relevant / (candidates - places[:-1])))  # no hit before this place
    assert expected_by_chance(HitRate(k), empty) == pytest.approx(hypergeom.sf(0, candidates, relevant, k), rel=1e-6)
    assert expected_by_chance(MRR(k), empty) == pytest.approx(
        (alive * relevant / (candidates - places) / (places + 1)).sum()
    )


def test_chance_of_the_real_cold_test_of_music4all_onion(test_data: Path) -> None:
    import polars as pl

    pairs = pl.read_parquet(test_data / "data/m4a_onion/cold_test.pqt")
    relevant = pairs.group_by("user_id").len()["len"].to_numpy()
    every = outcome_of(np.zeros((len(relevant), 50), bool), relevant, 589)
    expected: dict[tuple[type[GainMetric], int], float] = {
        (HitRate, 20): 0.1497,
        (Recall, 20): 0.0340,
        (HitRate, 50): 0.3104,
        (Recall, 50): 0.0849,
    }
    for (metric, k), value in expected.items():
        assert expected_by_chance(metric(k), every) == pytest.approx(value, abs=5e-5)


def test_full_ties_score_at_chance_over_tie_orders() -> None:
    nothing = interactions([], 3, 7)
    task = Task("hot", np.arange(7), interactions([(0, 1), (1, 0), (1, 3), (2, 2), (2, 5), (2, 6)], 3, 7))
    scorer = TableScorer(np.zeros((3, 7)))
    ranked = [rank(scorer, task.users, task.candidates, nothing, 3, seed=seed) for seed in range(500)]
    outcomes = [outcome(lists.items, task, nothing) for lists in ranked]
    for metric in GAINS:
        values = np.array([metric(3).value(result) for result in outcomes])
        error = (values.mean() - expected_by_chance(metric(3), outcomes[0])) / (values.std() / np.sqrt(len(values)))
        assert abs(error) < 4, metric.name


# Properties


@given(seed=st.integers(0, 2**20), k=st.integers(1, 12), depth=st.integers(12, 15))
def test_gains_add_up_to_values_between_0_and_1(seed: int, k: int, depth: int) -> None:
    rng = np.random.default_rng(seed)
    hits = rng.random((6, depth)) < rng.random((6, 1))
    relevant = np.maximum(hits.sum(1) + rng.integers(0, 3, 6), 1)
    result = outcome_of(hits, relevant, candidates=depth + rng.integers(0, 9, 6))
    for metric in GAINS:
        gains, values = metric(k).gains(result), metric(k).values(result)
        assert gains.shape == (6, k)
        np.testing.assert_allclose(gains.sum(1), values, atol=1e-12)
        assert (gains[~hits[:, :k]] == 0).all()
        assert ((values >= 0) & (values <= 1 + 1e-12)).all()
        assert ((values > 0) == hits[:, :k].any(1)).all()


@pytest.mark.parametrize("metric", ALL, ids=lambda metric: metric.name)
def test_every_metric_of_the_catalogue(metric: type[Metric]) -> None:
    result = outcome_of(np.eye(5, dtype=bool), 1)
    assert metric(3).label == f"{metric.name}@3"
    assert metric(3).values(result).shape == (5,)
    assert metric(3) == metric(3) != metric(4)
    with pytest.raises(AttributeError):
        metric(3).k = 5  # type: ignore[misc]  # the point of the test
    for k in (0, -1):
        with pytest.raises(ConfigError, match="k must be at least 1"):
            metric(k)
    more = replace(result, pool=9)
    if issubclass(metric, GainMetric):
        with pytest.raises(ConfigError, match=f"{metric.name}@6 needs lists of 6 items"):
            metric(6).gains(more)
    with pytest.raises(ConfigError, match=f"{metric.name}@6 needs lists of 6 items"):
        metric(6).value(more)


@pytest.mark.parametrize("metric", ALL, ids=lambda metric: metric.name)
def test_lists_of_all_candidates_are_long_enough_for_every_k(metric: type[Metric]) -> None:
    hits = np.array([[1, 0, 0, 1], [0, 1, 0, 0], [0, 0, 1, 1]], bool)
    short = outcome_of(hits, hits.sum(1), relevant_cold=1, cold=[True, False, False, True],
                       items=np.tile([0, 1, 2, 3], (3, 1)))  # fmt: skip
    padded = outcome_of(
        np.pad(hits, ((0, 0), (0, 3))), hits.sum(1), 4, 1, [True, False, False, True],
        np.tile([0, 1, 2, 3, -1, -1, -1], (3, 1)),
    )  # fmt: skip
    np.testing.assert_allclose(metric(7).values(short), metric(7).values(padded), rtol=1e-12)
    np.testing.assert_allclose(metric(7).value(short), metric(7).value(padded), rtol=1e-12)


def test_names_of_the_catalogue_are_the_metrics_names() -> None:
    assert [metric.name for metric in ALL] == catalog.names("metrics")


def test_a_run_without_users_has_no_value() -> None:
    nobody = outcome_of(np.zeros((0, 4)), 1)
    for metric in ALL:
        assert np.isnan(metric(4).value(nobody)) or metric is Coverage


# Metrics that are not sums of gains


def test_coverage_counts_distinct_items_of_all_lists() -> None:
    result = outcome_of(np.zeros((2, 3)), 1, items=[[0, 1, 2], [1, 4, -1]])  # 5 candidates
    assert [Coverage(k).value(result) for k in (1, 2, 3)] == [2 / 5, 3 / 5, 4 / 5]
    assert np.isnan(Coverage(3).values(result)).all()


def test_popularity_percentiles_with_ties_and_cold_items() -> None:
    train = interactions([(0, 0), (0, 1), (1, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3)], 3, 5)  # 1, 2, 2, 3, 0 users
    task = Task("mixed", np.arange(5), interactions([(2, 0), (2, 4)], 3, 5))
    result = outcome(np.array([[3, 4, 1, -1]]), task, train)
    assert result.popularity.tolist() == [1 / 8, 4 / 8, 4 / 8, 7 / 8, 0]
    assert [MeanPopularity(k).values(result)[0] for k in (1, 2, 4)] == [7 / 8, 7 / 8, (7 / 8 + 4 / 8) / 2]
    assert np.isnan(MeanPopularity(2).values(outcome(np.array([[4, -1]]), task, train))).all()


def test_cold_share_and_cold_recall() -> None:
    cold = [False, True, True, False, True]
    items = [[1, 0, 3, 2], [0, 3, -1, -1], [-1] * 4, [4, 2, 1, 0]]
    hits = [[1, 0, 1, 0], [1, 0, 0, 0], [0] * 4, [1, 1, 1, 1]]
    result = outcome_of(hits, [3, 1, 1, 4], 5, [2, 0, 1, 3], cold, items)
    np.testing.assert_array_equal(ColdShare(2).values(result), [0.5, 0, np.nan, 1])
    np.testing.assert_array_equal(ColdShare(4).values(result), [0.5, 0, np.nan, 0.75])
    np.testing.assert_array_equal(ColdRecall(2).values(result), [0.5, np.nan, 0, 2 / 3])
    assert ColdRecall(2).value(result) == pytest.approx((0.5 + 0 + 2 / 3) / 3)


# Outcomes


@pytest.mark.parametrize("scenario", ["hot", "cold", "mixed"])
@pytest.mark.parametrize("seed", [0, 1])
def test_outcomes_equal_a_count_pair_by_pair(scenario: Scenario, seed: int) -> None:
    random_fold = fold(seed, n_users=80)
    task, train = random_fold.task(scenario), random_fold.train
    lists = rank(TableScorer(np.random.default_rng(seed).random((80, 40))), task.users, task.candidates, train, 12)
    result = outcome(lists.items, task, train)
    seen, expected = (set(zip(part.user.tolist(), part.item.tolist(), strict=True)) for part in (train, task.relevant))
    new = [not any(item == i for _, item in seen) for i in range(40)]
    assert result.cold.tolist() == new
    assert result.pool == len(task.candidates)
    for row, user in enumerate(task.users.tolist()):
        relevant = [item for u, item in expected if u == user]
        assert result.relevant[row] == len(relevant)
        assert result.relevant_cold[row] == sum(new[item] for item in relevant)
        assert result.candidates[row] == sum((user, int(item)) not in seen for item in task.candidates)
        assert result.hits[row].tolist() == [(user, int(item)) in expected for item in lists.items[row]]
    third = task.users[::3]
    part = outcome(lists.items[::3], task, train, third)
    assert np.array_equal(part.hits, result.hits[::3])
    assert np.array_equal(part.candidates, result.candidates[::3])


def test_places_without_an_item_are_no_hits() -> None:
    train = interactions([(0, 0), (1, 1)], 2, 3)
    task = Task("hot", np.array([0, 1]), interactions([(0, 1), (1, 0), (1, 2)], 2, 3))
    assert outcome(np.array([[1, -1], [-1, -1]]), task, train).hits.tolist() == [[True, False], [False, False]]
