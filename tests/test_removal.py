"""Removing a candidate: against ranking again without it, one candidate at a time."""

from __future__ import annotations

import numpy as np
import pytest

from made import TableScorer, fold, interactions
from timbrec import catalog
from timbrec.data.interactions import Interactions
from timbrec.data.split import Fold, Scenario, Task
from timbrec.errors import ConfigError
from timbrec.metrics.map import MAP
from timbrec.metrics.ndcg import NDCG
from timbrec.metrics.recall import Recall
from timbrec.metrics.shared.base import GainMetric, Outcome
from timbrec.ranking.outcomes import outcome
from timbrec.ranking.rank import rank
from timbrec.statistics.influence import effective_items, influence
from timbrec.statistics.removal import removals

USERS, ITEMS = 14, 16
GAINS = ("hitrate", "recall", "precision", "ndcg", "mrr", "map")


def ranked(table: np.ndarray, task: Task, train: Interactions, k: int) -> Outcome:
    """The outcome of lists one place deeper than k, or of all candidates."""
    depth = max(min(k + 1, len(task.candidates)), 1)
    return outcome(rank(TableScorer(table), task.users, task.candidates, train, depth).items, task, train)


def without(task: Task, item: int) -> Task:
    """The task without one candidate and its relevant pairs."""
    relevant = task.relevant.where(task.relevant.item != item)
    return Task(task.scenario, task.candidates[task.candidates != item], relevant)


def values_without(table: np.ndarray, task: Task, fold: Fold, metric: GainMetric, item: int) -> dict[int, float]:
    """The value of each remaining user after ranking again without the item."""
    rest = without(task, item)
    values = metric.values(ranked(table, rest, fold.train, metric.k))
    return dict(zip(rest.users.tolist(), values.tolist(), strict=True))


@pytest.mark.parametrize("scenario", ["hot", "cold", "mixed"])
@pytest.mark.parametrize("k", [1, 4, 30])
@pytest.mark.parametrize("name", GAINS)
def test_removals_equal_ranking_again(name: str, k: int, scenario: Scenario) -> None:
    data = fold(k, USERS, ITEMS, new=4, density=0.35)
    task, table = data.task(scenario), np.random.default_rng(k).random((USERS, ITEMS))
    metric: GainMetric = catalog.load("metrics", name)(k)
    lists = ranked(table, task, data.train, k)
    effects = removals(lists, metric, task.users, task.relevant)
    change, gone = np.zeros((len(task.users), ITEMS)), np.zeros((len(task.users), ITEMS), bool)
    change[effects.users, effects.items] = effects.change
    gone[effects.users, effects.items] = effects.gone
    assert len(effects.users) == len({*zip(effects.users.tolist(), effects.items.tolist(), strict=True)})
    for item in task.candidates.tolist():
        expected = values_without(table, task, data, metric, item)
        for row, user in enumerate(task.users.tolist()):
            assert gone[row, item] == (user not in expected)
            assert effects.values[row] + change[row, item] == pytest.approx(expected.get(user, 0.0), abs=1e-12)


@pytest.mark.parametrize("metric", [NDCG(4), MAP(4), Recall(40)])
def test_influences_of_items_are_the_jackknife(metric: GainMetric) -> None:
    data = fold(1, USERS, ITEMS, new=4, density=0.35)
    task, table = data.task("mixed"), np.random.default_rng(1).random((USERS, ITEMS))
    line = influence([ranked(table, task, data.train, metric.k)], task, metric)
    means = np.array(
        [np.mean(list(values_without(table, task, data, metric, item).values())) for item in task.candidates.tolist()]
    )
    assert line.items is not None
    assert line.items == pytest.approx(means.mean() - means, abs=1e-12)
    assert line.users.sum() == pytest.approx(0, abs=1e-12)


def test_influences_of_pairs_add_up_to_those_of_items() -> None:
    data = fold(2, USERS, ITEMS, new=4, density=0.35)
    task, tables = data.task("hot"), np.random.default_rng(2).random((2, USERS, ITEMS))
    lists = [ranked(table, task, data.train, 5) for table in tables]
    line = influence(lists, task, Recall(5))
    assert line.pairs is not None
    assert line.items is not None
    summed = np.bincount(line.pairs.items, weights=line.pairs.influence, minlength=len(task.candidates))
    assert line.pairs.scale == 1
    # the exact influences divide by the users who remain, the pairs' by all
    assert line.items == pytest.approx(summed - summed.mean(), abs=0.02)
    assert np.corrcoef(line.items, summed)[0, 1] > 0.99


def test_clusters_add_up_their_items() -> None:
    data = fold(3, USERS, ITEMS, new=4, density=0.35)
    task = data.task("mixed")
    lists = [ranked(np.random.default_rng(3).random((USERS, ITEMS)), task, data.train, 5)]
    single = influence(lists, task, NDCG(5))
    clusters = np.arange(ITEMS) // 3
    clusters[:3] = -1
    grouped = influence(lists, task, NDCG(5), clusters)
    assert single.items is not None
    assert grouped.items is not None
    position = {item: place for place, item in enumerate(task.candidates.tolist())}
    expected = [
        sum(single.items[position[item]] for item in members if item in position)
        for members in [(0,), (1,), (2,), *(range(3 * group, min(3 * group + 3, ITEMS)) for group in range(1, 6))]
        if any(item in position for item in members)
    ]
    assert sorted(grouped.items.tolist()) == pytest.approx(sorted(expected), abs=1e-12)


def test_seeds_are_averaged() -> None:
    data = fold(4, USERS, ITEMS, new=4, density=0.35)
    task, tables = data.task("cold"), np.random.default_rng(4).random((2, USERS, ITEMS))
    lists = [ranked(table, task, data.train, 3) for table in tables]
    joint, first, second = (influence(seeds, task, NDCG(3)) for seeds in (lists, lists[:1], lists[1:]))
    assert joint.items is not None and first.items is not None and second.items is not None  # noqa: PT018
    assert joint.of_seeds.tolist() == [first.value, second.value]
    assert joint.value == pytest.approx((first.value + second.value) / 2)
    assert joint.items == pytest.approx((first.items + second.items) / 2)
    assert joint.users == pytest.approx((first.users + second.users) / 2)


def test_an_item_that_is_the_only_relevant_one_of_every_user() -> None:
    nothing = interactions([], 3, 4)
    task = Task("cold", np.arange(4), interactions([(user, 2) for user in range(3)], 3, 4))
    line = influence([ranked(np.eye(3, 4), task, nothing, 2)], task, NDCG(2))
    assert line.items is not None
    assert np.isfinite(line.items).all()
    assert line.effective_items == 1


def test_effective_items_count_users_equally() -> None:
    task = Task("hot", np.arange(4), interactions([(0, 0), (1, 0), (1, 1), (2, 3)], 3, 4))
    shares = np.array([1 + 0.5, 0.5, 0, 1]) / 3
    assert effective_items(task) == pytest.approx(1 / (shares**2).sum())


def test_the_effective_number_of_clusters_is_counted_where_items_are_clustered() -> None:
    task = Task("hot", np.arange(4), interactions([(0, 0), (1, 0), (1, 1), (2, 3)], 3, 4))
    clusters = np.array([7, 7, -1, 2])
    assert effective_items(task, clusters) == pytest.approx(1 / ((2 / 3) ** 2 + (1 / 3) ** 2))


def test_lists_that_are_not_deeper_than_k_give_no_influences_of_items() -> None:
    data = fold(5, USERS, ITEMS, new=4, density=0.35)
    task = data.task("hot")
    lists = ranked(np.random.default_rng(5).random((USERS, ITEMS)), task, data.train, 4)
    assert influence([lists], task, NDCG(5)).items is None
    assert influence([lists], task, NDCG(4)).items is not None
    with pytest.raises(ConfigError, match="ndcg@5: intervals over items need lists of 6 items"):
        removals(lists, NDCG(5), task.users, task.relevant)
