"""Intervals over users and items: against a bootstrap written here, and against the truth of world worlds."""

from __future__ import annotations

import numpy as np
import pytest

from timbrec.data.interactions import Interactions
from timbrec.metrics.ndcg import NDCG
from timbrec.metrics.shared.base import Outcome
from timbrec.statistics.intervals import Interval, crossed, over_users

USERS, ITEMS, RATE = 200, 80, 0.4


class Simulated:
    """Relevant pairs, popular items more often, of which a system finds each with a chance that depends on the item
    (and a little on the user); over all users and items there could be, it finds RATE of them."""

    def __init__(self, seed: int, spread_of_items: float = 0.3) -> None:
        rng = np.random.default_rng(seed)
        popularity = rng.exponential(size=ITEMS)
        likes = np.log(popularity) + rng.gumbel(size=(USERS, ITEMS))
        counts = rng.integers(1, 7, USERS)
        rank = np.argsort(np.argsort(-likes, 1), 1)
        user, item = np.nonzero(rank < counts[:, None])
        ones = np.ones(len(user), np.int64)
        self.relevant = Interactions(user, item, ones, None, USERS, ITEMS)
        easy, keen = rng.uniform(-1, 1, ITEMS) * spread_of_items, rng.uniform(-0.1, 0.1, USERS)
        hit = rng.random(len(user)) < RATE + easy[item] + keen[user]
        self.items = np.full((USERS, 6), -1)
        self.gains = np.zeros((USERS, 6))
        place = np.arange(len(user)) - self.relevant.starts[user]
        self.items[user, place] = np.where(hit, item, -1)
        self.gains[user, place] = hit / counts[user]

    @property
    def users(self) -> np.ndarray:
        return np.arange(USERS)


def pigeonhole(world: Simulated, replicates: int, seed: int) -> np.ndarray:
    """Owen's bootstrap: users and items are drawn anew, each pair counts as often as its user and its item together."""
    rng = np.random.default_rng(seed)
    gained = np.zeros((USERS, ITEMS))
    rows, places = np.nonzero(world.items >= 0)
    gained[rows, world.items[rows, places]] = world.gains[rows, places]
    relevant = world.relevant.csr().toarray()
    values = []
    for _ in range(replicates):
        user_weights = rng.multinomial(USERS, np.full(USERS, 1 / USERS))
        item_weights = rng.multinomial(ITEMS, np.full(ITEMS, 1 / ITEMS))
        possible = relevant @ item_weights
        value = np.divide(relevant.sum(1) * (gained @ item_weights), possible, out=np.zeros(USERS), where=possible > 0)
        values.append((user_weights * value).sum() / (user_weights * (possible > 0)).sum())
    return np.array(values)


@pytest.mark.parametrize("seed", range(4))
def test_the_interval_is_a_little_narrower_than_a_bootstrap_over_both(seed: int) -> None:
    world = Simulated(seed)
    interval = crossed(world.gains, world.items, world.users, world.relevant)
    low, high = np.quantile(pigeonhole(world, 1_000, seed), [0.025, 0.975])
    assert interval.value == pytest.approx(world.gains.sum(1).mean())
    # the bootstrap counts the noise of single pairs three times (Owen 2007), the interval once
    assert 0.6 < (interval.high - interval.low) / (high - low) < 1


def coverage(truth: float, intervals: list[Interval]) -> float:
    return float(np.mean([interval.low <= truth <= interval.high for interval in intervals]))


def test_it_holds_the_truth_as_often_as_it_says_and_users_alone_do_not() -> None:
    worlds = [Simulated(seed) for seed in range(400)]
    pair = coverage(RATE, [crossed(world.gains, world.items, world.users, world.relevant) for world in worlds])
    users = coverage(RATE, [over_users(world.gains.sum(1)) for world in worlds])
    assert 0.92 <= pair <= 0.985
    assert users < 0.8


def test_it_does_not_widen_much_where_items_do_not_matter() -> None:
    worlds = [Simulated(seed, spread_of_items=0.0) for seed in range(400)]
    pair = coverage(RATE, [crossed(world.gains, world.items, world.users, world.relevant) for world in worlds])
    assert 0.92 <= pair <= 0.985
    widths = [
        (crossed(world.gains, world.items, world.users, world.relevant).high - world.gains.sum(1).mean())
        / (over_users(world.gains.sum(1)).high - world.gains.sum(1).mean())
        for world in worlds[:20]
    ]
    assert np.mean(widths) < 1.2


def test_paired_differences_hold_the_truth() -> None:
    """Two systems that share users and items and find each pair alike in the mean: the difference is 0."""
    intervals = []
    for seed in range(400):
        world = Simulated(seed)
        rng = np.random.default_rng([seed, 1])
        easy = rng.uniform(-1, 1, ITEMS) * 0.3
        user, item = world.relevant.user, world.relevant.item
        hit = rng.random(len(user)) < RATE + easy[item]
        place = np.arange(len(user)) - world.relevant.starts[user]
        items, gains = np.full((USERS, 6), -1), np.zeros((USERS, 6))
        items[user, place], gains[user, place] = np.where(hit, item, -1), hit / world.relevant.user_items[user]
        pair = np.concatenate([world.gains, -gains], 1), np.concatenate([world.items, items], 1)
        intervals.append(crossed(*pair, world.users, world.relevant))
    assert 0.92 <= coverage(0.0, intervals) <= 0.985


def test_two_equal_systems_differ_by_nothing_for_sure() -> None:
    world = Simulated(0)
    pair = np.concatenate([world.gains, -world.gains], 1), np.concatenate([world.items, world.items], 1)
    interval = crossed(*pair, world.users, world.relevant)
    assert np.allclose([interval.value, interval.low, interval.high], 0, atol=1e-15)


def test_metrics_that_have_gains_are_their_sums() -> None:
    rng = np.random.default_rng(0)
    outcome = Outcome(
        items=np.arange(20).reshape(2, 10), hits=rng.random((2, 10)) < 0.5, relevant=np.array([8, 9]),
        relevant_cold=np.zeros(2, np.int64), candidates=np.full(2, 30), cold=np.zeros(30, bool),
        popularity=np.zeros(30), pool=30,
    )  # fmt: skip
    metric = NDCG(10)
    assert np.allclose(metric.gains(outcome).sum(1), metric.values(outcome))


def test_too_little_to_say_anything() -> None:
    nobody = over_users(np.array([np.nan]))
    assert np.isnan([nobody.value, nobody.low, nobody.high]).all()
    alone = over_users(np.array([0.5, np.nan]))
    assert alone.value == 0.5
    assert np.isnan([alone.low, alone.high]).all()
