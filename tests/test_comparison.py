"""Comparisons of lines: against closed forms, tables of critical values, and small worlds with known truth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm, studentized_range, t

from made import interactions
from timbrec.data.interactions import Interactions
from timbrec.data.split import Task
from timbrec.errors import DataError
from timbrec.metrics.cold_share import ColdShare
from timbrec.metrics.coverage import Coverage
from timbrec.metrics.ndcg import NDCG
from timbrec.metrics.shared.base import Outcome
from timbrec.statistics.comparison import Comparison, compare
from timbrec.statistics.influence import Influence, influence
from timbrec.statistics.needed import needed
from timbrec.statistics.spread import LEAST, Spread

# Closed forms


def independent(lines: int, users: int, seed: int = 0, values: np.ndarray | None = None) -> Comparison:
    """Lines that differ only over users, with independent normal influences of the same size."""
    rng = np.random.default_rng(seed)
    influences = np.linalg.qr(rng.standard_normal((users, lines)) - 0.0)[0] / np.sqrt(users)
    spread = Spread(
        influences, np.zeros((0, lines)), np.zeros((lines, lines)), np.zeros(lines), np.arange(lines), np.ones(lines),
        users - 1.0,
    )  # fmt: skip
    return Comparison(np.zeros(lines) if values is None else values, np.full(lines, users), spread)


def test_all_pairs_have_tukeys_critical_value() -> None:
    for lines in (3, 10):
        critical = independent(lines, 5_000).pairs.simultaneous
        expected = studentized_range.ppf(0.95, lines, 5_000) / np.sqrt(2)
        assert critical == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize(("others", "expected"), [(4, 2.44), (9, 2.69)])  # Dunnett (1964), two-sided, infinite df
def test_many_to_one_has_dunnetts_critical_value(others: int, expected: float) -> None:
    comparison = independent(others + 1, 5_000)
    halves = [interval.high - interval.value for interval in comparison.against(0)[1:]]
    unit = np.eye(others + 1)
    errors = comparison.spread.errors(unit[1:] - unit[0]).standard
    assert np.array(halves) / errors == pytest.approx(expected, rel=0.02)


def test_one_comparison_is_students() -> None:
    comparison = independent(4, 40)
    interval = comparison.contrast(np.array([1.0, -1, 0, 0]))
    family = comparison.family(np.array([[1.0, -1, 0, 0]]))
    expected = t.ppf(0.975, family.degrees[0]) * family.standard_errors[0]
    assert interval.high == pytest.approx(expected)
    assert interval.low == pytest.approx(-expected)


def test_the_smallest_detectable_difference_is_found_in_80_percent() -> None:
    comparison = independent(6, 5_000)
    critical, error = comparison.pairs.simultaneous[0], np.median(comparison.pairs.standard_errors)
    power = norm.sf(critical - comparison.smallest_detectable / error)
    assert power == pytest.approx(0.8, abs=0.005)


def test_the_largest_of_ten_equal_lines_is_flattered_by_its_expected_maximum() -> None:
    comparison = independent(10, 5_000)
    assert comparison.winner.flattery / comparison.standard_errors[0] == pytest.approx(1.53875, rel=0.03)
    far = independent(10, 5_000, values=np.array([0.5, *[0.0] * 9]))
    assert far.winner.flattery == 0
    assert far.winner.corrected == 0.5


def test_variance_over_users_by_hand() -> None:
    """cold-share has no gains, so its interval is over users: shares 0, 1/2, 1, 1 and two more of 1/2."""
    items = np.array([[0, 1], [0, 2], [2, 3], [3, 2], [1, 2], [3, 0]])
    task, outcomes = _outcomes(items)
    comparison = compare([influence([outcomes], task, ColdShare(2))])
    shares = np.array([0, 0.5, 1, 1, 0.5, 0.5])
    assert comparison.values[0] == pytest.approx(shares.mean())
    assert comparison.standard_errors[0] == pytest.approx(shares.std(ddof=1) / np.sqrt(6))


def _outcomes(items: np.ndarray) -> tuple[Task, Outcome]:
    users = len(items)
    task = Task("mixed", np.arange(4), interactions([(user, user % 4) for user in range(users)], users, 4))
    relevant = np.arange(users) % 4
    return task, Outcome(
        items=items, hits=items == relevant[:, None], relevant=np.ones(users, np.int64),
        relevant_cold=np.zeros(users, np.int64), candidates=np.full(users, 4),
        cold=np.array([False, False, True, True]), popularity=np.zeros(4), pool=4,
    )  # fmt: skip


# Worlds whose truth is known


def world(
    seed: int, users: int, items: int, qualities: list[float], relevant: int = 2, skew: float = 1.0
) -> list[Influence]:
    """Lines that score every pair by its affinity times a quality plus noise of the line's own, drawn per item.

    Lines of the same quality have the same true value. Popular items are relevant to many users.
    """
    rng = np.random.default_rng(seed)
    taste, vectors = rng.standard_normal((users, 3)), rng.standard_normal((items, 3))
    affinity = taste @ vectors.T
    likes = affinity + skew * rng.standard_normal(items) + rng.gumbel(size=affinity.shape)
    chosen = np.sort(np.argsort(-likes, 1)[:, :relevant], 1)
    task = Task(
        "cold", np.arange(items),
        Interactions(np.repeat(np.arange(users), relevant), chosen.ravel(), np.ones(chosen.size, np.int64), None,
                     users, items),
    )  # fmt: skip
    mask = np.zeros((users, items), bool)
    mask[np.arange(users)[:, None], chosen] = True
    lines = []
    for quality in qualities:
        noise = rng.standard_normal((users, 3)) @ rng.standard_normal((3, items)) + 2 * rng.standard_normal(items)
        lists = np.argsort(-(quality * affinity + noise), 1)[:, :6]
        outcome = Outcome(
            items=lists, hits=np.take_along_axis(mask, lists, 1), relevant=mask.sum(1),
            relevant_cold=mask.sum(1), candidates=np.full(users, items), cold=np.ones(items, bool),
            popularity=np.zeros(items), pool=items,
        )  # fmt: skip
        lines.append(influence([outcome], task, NDCG(5)))
    return lines


WORLDS = 150


@pytest.fixture(scope="module")
def equal() -> list[Comparison]:
    """Six equal lines on 60 cold tracks, of which about 35 are effective."""
    return [compare(world(seed, 80, 60, [1.0] * 6, skew=0.5), draws=500) for seed in range(WORLDS)]


def test_equal_lines_are_rarely_told_apart(equal: list[Comparison]) -> None:
    eliminated = np.mean([not comparison.tied.all() for comparison in equal])
    single = np.mean([(np.abs(c.pairs.values) > c.pairs.single * c.pairs.standard_errors).any() for c in equal])
    assert eliminated <= 0.09  # 5 % and two standard errors of 150 worlds
    assert single > 0.12  # without correction for the number of comparisons


def test_no_winner_is_named_on_30_cold_tracks_unless_its_differences_exclude_0() -> None:
    alike = [compare(world(seed, 80, 30, [1.0] * 4), draws=500) for seed in range(60)]
    assert sum(comparison.best is not None for comparison in alike) <= 2
    apart = [compare(world(seed, 80, 30, [9.0, 0.0, 0.0]), draws=500) for seed in range(20)]
    assert sum(comparison.best == 0 for comparison in apart) >= 15
    for comparison in [*alike, *apart]:
        best = comparison.best
        others = [] if best is None else [line for line in range(len(comparison.values)) if line != best]
        assert best is None or all(comparison.difference(best, line).low > 0 for line in others)


def test_intervals_hold_the_truth_and_intervals_over_users_alone_do_not(equal: list[Comparison]) -> None:
    truth = np.mean([comparison.values for comparison in equal])
    values = np.array([comparison.values for comparison in equal])
    halves = np.array([comparison.half_widths for comparison in equal])
    users = np.array([1.99 * np.sqrt((comparison.spread.users**2).sum(0)) for comparison in equal])
    assert 0.92 <= (np.abs(values - truth) <= halves).mean() <= 0.99
    assert (np.abs(values - truth) <= users).mean() < 0.8


def test_paired_differences_hold_0(equal: list[Comparison]) -> None:
    differences = np.array([comparison.pairs.values for comparison in equal])
    halves = np.array([comparison.pairs.single * comparison.pairs.standard_errors for comparison in equal])
    assert 0.92 <= (np.abs(differences) <= halves).mean() <= 0.99


def test_a_line_that_is_better_is_found() -> None:
    comparison = compare(world(0, 400, 100, [0.5, 3.0, 0.5, 0.4]))
    assert comparison.best == 1
    assert comparison.tied.tolist() == [False, True, False, False]
    assert comparison.difference(1, 0).low > 0
    assert comparison.difference(0, 1).high == -comparison.difference(1, 0).low
    gains = comparison.gains([(1, 0), (2, 3)])
    assert gains[0].low > 0 > gains[1].low
    mean = comparison.mean_difference([1, 2], [0, 3])
    assert mean.value == pytest.approx((gains[0].value + gains[1].value) / 2)


def test_the_correction_removes_most_of_the_winners_flattery(equal: list[Comparison]) -> None:
    truth = np.mean([comparison.values for comparison in equal])
    excess = np.mean([comparison.values.max() for comparison in equal]) - truth
    corrected = np.mean([comparison.values.max() - comparison.winner.flattery for comparison in equal]) - truth
    assert excess > 0.5 * np.mean([comparison.standard_errors for comparison in equal])
    assert abs(corrected) < 0.35 * excess


# Seeds


def test_variance_over_seeds_counts_with_its_degrees_of_freedom() -> None:
    comparison = independent(2, 5_000)
    spread = comparison.spread
    seeded = replace(spread, seeds=np.array([0.01, 0.0]), seed_degrees=np.array([2.0, 1.0]))
    errors = seeded.errors(np.array([[1.0, -1.0]]))
    assert errors.standard[0] ** 2 == pytest.approx(0.01 + 2 / 5_000 * 5_000 / 4_999)
    assert errors.degrees[0] == pytest.approx(2, abs=0.2)  # the two of three seeds


def test_seeds_of_a_line_are_an_average_with_an_error() -> None:
    lines = [world(seed, 50, 40, [1.0])[0].value for seed in range(3)]
    users = np.zeros(50)
    line = Influence(float(np.mean(lines)), np.array(lines), users, None, None, 40.0, 0)
    assert compare([line]).standard_errors[0] == pytest.approx(np.std(lines, ddof=1) / np.sqrt(3))


def test_lines_of_one_recommender_share_their_variance_over_seeds() -> None:
    users = np.linspace(-1e-9, 1e-9, 50)
    seeds = np.array([[0.1, 0.2, 0.3], [0.2, 0.25, 0.3], [0.3, 0.3, 0.6]])
    lines = [Influence(float(line.mean()), line, users, None, None, 40.0, 0) for line in seeds]
    comparison = compare(lines, ["bert4rec", "bert4rec", "knn"])
    pooled = (seeds[0].var(ddof=1) + seeds[1].var(ddof=1)) / 2 / 3
    assert comparison.standard_errors[:2] == pytest.approx(np.sqrt(pooled))
    errors = comparison.spread.errors(np.array([[1.0, -1, 0], [0, 1, -1]]))
    other = seeds[2].var(ddof=1) / 3
    assert errors.standard == pytest.approx(np.sqrt([2 * pooled, pooled + other]))
    assert errors.degrees == pytest.approx([4, (pooled + other) ** 2 / (pooled**2 / 4 + other**2 / 2)])


# More data


def test_the_data_needed_is_that_which_brings_the_error_down_to_the_difference() -> None:
    users = np.array([[0.3, 0], [-0.3, 0]]) / 10  # variance 2 x 0.0018
    items = np.array([[0.2, 0], [-0.2, 0]]) / 10  # variance 0.0008
    spread = Spread(users, items, np.zeros((2, 2)), np.zeros(2), np.arange(2), np.ones(2), 1e6)
    comparison = Comparison(np.array([0.12, 0.0]), np.full(2, 2), spread)
    amount = needed(comparison, 0, 1)
    assert amount is not None
    allowed = (0.12 / (comparison.pairs.simultaneous[0] + norm.ppf(0.8))) ** 2
    assert amount.together == pytest.approx((0.0036 + 0.0008) / allowed)
    assert amount.items == np.inf  # users alone vary too much
    assert amount.users == pytest.approx(0.0036 / (allowed - 0.0008))
    assert amount.difference == pytest.approx(0.12)
    assert amount.detectable == pytest.approx(comparison.smallest_detectable)


@pytest.mark.parametrize("grown", ["users", "items"])
def test_a_test_that_has_grown_as_much_as_needed_detects_the_difference(grown: str) -> None:
    """A sample repeated f times has influences of 1/f and a variance of 1/f."""
    rng = np.random.default_rng(0)
    parts = {"users": rng.standard_normal((400, 1)) / 400, "items": rng.standard_normal((400, 1)) / 400}
    parts[grown] *= 3

    def comparison(times: dict[str, int], difference: float) -> Comparison:
        tables = {
            name: np.concatenate([np.tile(part / times.get(name, 1), (times.get(name, 1), 1)), 0 * part], 0)
            for name, part in parts.items()
        }
        lines = {name: np.concatenate([table, 0 * table], 1) for name, table in tables.items()}
        spread = Spread(lines["users"], lines["items"], np.zeros((2, 2)), np.zeros(2), np.arange(2), np.ones(2), 1e6)
        return Comparison(np.array([difference, 0.0]), np.full(2, len(lines["users"])), spread)

    larger = comparison({grown: 5}, 0.1)
    amount = needed(comparison({}, larger.smallest_detectable), 0, 1)
    assert amount is not None
    assert getattr(amount, grown) == pytest.approx(5, rel=0.03)


def test_what_cannot_be_told_apart_or_is_equal_needs_no_number() -> None:
    line = world(0, 80, 30, [1.0])[0]
    assert needed(compare([line, line]), 0, 1) is None
    assert needed(compare(world(0, 3, 30, [9.0, 0.0])), 0, 1) is None


# Clusters


def test_the_variance_over_clusters_is_a_lower_limit_and_that_over_items_is_not() -> None:
    users, items = np.array([[0.1, 0], [-0.1, 0]]), np.array([[0.2, 0], [-0.2, 0]])
    pairs = np.diag([0.07, 0.0])  # more than the variance over users, 2 x 0.02
    spread = Spread(users, items, pairs, np.zeros(2), np.arange(2), np.ones(2), 9.0)
    difference = np.array([[1.0, -1.0]])
    assert spread.errors(difference).standard[0] ** 2 == pytest.approx(0.04 + 0.08 - 0.07)
    assert replace(spread, clustered=True).errors(difference).standard[0] ** 2 == pytest.approx(0.08)


def test_degrees_of_freedom_are_those_of_the_variance_itself() -> None:
    """Twice the squared variance over the variance of its parts: the common part counts in neither (PP)."""
    rng = np.random.default_rng(0)
    users, items = (np.column_stack([rng.standard_normal(n) ** 3 / 100, np.zeros(n)]) for n in (60, 40))
    spread = Spread(users, items, np.diag([0.01, 0.0]), np.zeros(2), np.arange(2), np.ones(2), 39.0)
    totals, uncertainty = [(users**2).sum() * 60 / 59, (items**2).sum()], 0.0
    for total, part in zip(totals, (users[:, 0], items[:, 0]), strict=True):
        squares, n = part**2, len(part)
        uncertainty += total**2 / np.clip(2 * squares.sum() ** 2 / (n * squares.var()), 1, n - 1)
    variance = sum(totals) - 0.01
    errors = spread.errors(np.array([[1.0, -1.0]]))
    assert errors.standard[0] ** 2 == pytest.approx(variance)
    assert errors.degrees[0] == pytest.approx(variance**2 / uncertainty)
    assert LEAST < errors.degrees[0] < 39


# Nothing can be told


@pytest.mark.parametrize("users", [1, 2, 3, 5])
def test_few_users_name_no_winner(users: int) -> None:
    comparison = compare(world(0, users, 30, [9.0, 0.0, -9.0]))
    assert comparison.reason is not None
    assert comparison.reason.startswith(f"{users} user")
    assert comparison.best is None
    assert comparison.tied.all()
    assert np.isnan([comparison.difference(0, 2).low, comparison.smallest_detectable]).all()
    assert np.isfinite(comparison.values).all()
    if users == 1:
        assert np.isnan(comparison.intervals[0].low)


def test_one_item_names_no_winner() -> None:
    task = Task("cold", np.arange(3), interactions([(user, 0) for user in range(20)], 20, 3))
    lists = [np.tile(order, (20, 1)) for order in ([0, 1, 2], [1, 2, 0])]
    lines = [
        influence(
            [Outcome(items, items == 0, np.ones(20, np.int64), np.ones(20, np.int64), np.full(20, 3),
                     np.ones(3, bool), np.zeros(3), 3)],
            task, NDCG(1),
        )
        for items in lists
    ]  # fmt: skip
    comparison = compare(lines)
    assert comparison.values.tolist() == [1, 0]
    assert comparison.reason == "the test lies on 1.0 effective items: at least 2 are needed"
    assert comparison.best is None


def test_identical_lines_are_tied_with_a_difference_of_0() -> None:
    first, other = world(0, 80, 30, [1.0, 1.0])
    comparison = compare([first, first, other])
    interval = comparison.difference(0, 1)
    assert [interval.value, interval.low, interval.high] == pytest.approx([0, 0, 0], abs=1e-12)
    assert comparison.tied[0] == comparison.tied[1]
    assert np.isfinite(comparison.pairs.simultaneous).all()


def test_a_metric_without_values_per_user_has_no_intervals() -> None:
    task, outcomes = _outcomes(np.array([[0, 1], [0, 2], [2, 3], [3, 2], [1, 2], [3, 0]]))
    comparison = compare([influence([outcomes], task, Coverage(2))] * 2)
    assert comparison.values.tolist() == [1, 1]
    assert comparison.reason is not None
    assert np.isnan(comparison.intervals[0].low)
    assert comparison.best is None


def test_one_line_is_not_the_best() -> None:
    comparison = compare(world(0, 80, 30, [1.0]))
    assert comparison.best is None
    assert comparison.tied.tolist() == [True]
    assert np.isnan(comparison.smallest_detectable)
    assert comparison.against(0)[0].value == 0


def test_intervals_stay_inside_the_range_of_the_metric() -> None:
    for users in (6, 10):
        for seed in range(20):
            comparison = compare(world(seed, users, 12, [3.0, 0.0, -3.0]), draws=200)
            for interval in comparison.intervals:
                assert 0 <= interval.low <= interval.value <= interval.high <= 1
            for interval in comparison.pairs.intervals():
                assert -1 <= interval.low <= interval.value <= interval.high <= 1


def test_clipping_changes_no_decision() -> None:
    """Two lines at 1 and 0.02: the interval of the difference would pass 1, and is cut there, but excludes 0."""
    rng = np.random.default_rng(0)
    influences = np.stack([0.002 * rng.standard_normal(1_000), 0.01 * rng.standard_normal(1_000)], 1)
    spread = Spread(influences, np.zeros((0, 2)), np.zeros((2, 2)), np.zeros(2), np.arange(2), np.ones(2), 999.0)
    comparison = Comparison(np.array([0.98, 0.02]), np.full(2, 1_000), spread)
    assert comparison.best == 0
    assert comparison.difference(0, 1).high == 1


def test_families_of_some_lines_are_smaller() -> None:
    comparison = compare(world(0, 80, 30, [1.0] * 6))
    pair = comparison.among([4, 1])
    assert pair.values.tolist() == comparison.values[[4, 1]].tolist()
    assert pair.pairs.simultaneous[0] < comparison.pairs.simultaneous.min()
    assert pair.difference(0, 1).value == pytest.approx(comparison.difference(4, 1).value)


def test_lines_of_different_tests_are_refused() -> None:
    with pytest.raises(DataError, match="different users or candidates"):
        compare([*world(0, 80, 30, [1.0]), *world(0, 70, 30, [1.0])])
    with pytest.raises(DataError, match="there are no lines"):
        compare([])
    with pytest.raises(DataError, match="a line without lists"):
        influence([], Task("hot", np.arange(1), interactions([(0, 0)], 1, 1)), NDCG(1))


def test_nearly_equal_lines_have_no_wider_interval_than_typical_lines() -> None:
    rng = np.random.default_rng(5)
    users, items = rng.standard_normal((400, 6)) / 400, rng.standard_normal((40, 6)) / 40
    users[:, 1], items[:, 1] = users[:, 0], items[:, 0]
    items[7, 1] += 0.02  # a single track in which the second line differs from the first
    spread = Spread(users, items, np.zeros((6, 6)), np.zeros(6), np.arange(6), np.ones(6), 39.0)
    pairs = Comparison(np.zeros(6), np.full(6, 400), spread).pairs
    halves = pairs.simultaneous * pairs.standard_errors
    assert pairs.degrees[0] == LEAST
    assert pairs.standard_errors[0] < pairs.standard_errors[1:].min()
    assert halves[0] <= np.median(halves) < 3 * halves[1:].min()


def test_one_item_with_most_of_the_influence_does_not_hide_a_difference() -> None:
    """One track brings .03 of the first line's lead of .1; the lead without it is ten standard errors."""
    rng = np.random.default_rng(5)
    users, items = rng.standard_normal((900, 2)) / 9000, rng.standard_normal((100, 2)) / 4000
    items[7, 0] += 0.03
    spread = Spread(users, items, np.zeros((2, 2)), np.zeros(2), np.arange(2), np.ones(2), 99.0)
    assert Comparison(np.array([0.1, 0.0]), np.full(2, 900), spread).best == 0
    few = replace(spread, most_degrees=1.5)  # a test on two and a half effective items
    assert Comparison(np.array([0.1, 0.0]), np.full(2, 900), few).best is None
