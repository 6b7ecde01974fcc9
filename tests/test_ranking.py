from __future__ import annotations

from itertools import permutations
from math import factorial

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from made import TableScorer, interactions
from timbrec.data.interactions import Interactions
from timbrec.errors import CannotRankError, ConfigError, DataError
from timbrec.ranking import rank as ranking
from timbrec.ranking.rank import rank
from timbrec.ranking.scorers import DotScorer
from timbrec.ranking.ties import tie_order

NAN, INF = float("nan"), float("inf")


def brute_force(
    table: np.ndarray, users: np.ndarray, candidates: np.ndarray, exclude: Interactions, k: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Unseen candidates sorted by score, then by place in the tie order; a second implementation."""
    place = tie_order(exclude.n_items, seed)
    lists = np.full((len(users), k), -1)
    scores = np.full((len(users), k), -INF, np.float32)
    for row, user in enumerate(users):
        seen = set(exclude.item[exclude.user == user])
        best = sorted((-table[user, item], place[item], item) for item in candidates if item not in seen)[:k]
        lists[row, : len(best)] = [item for _, _, item in best]
        scores[row, : len(best)] = [-score for score, _, _ in best]
    return lists, scores


def pairs(table: np.ndarray) -> list[tuple[int, ...]]:
    """The (row, column) places where the table is true."""
    return [(int(row), int(column)) for row, column in np.argwhere(table)]


def world(seed: int, n_users: int, n_items: int, levels: int) -> tuple[np.ndarray, Interactions, np.random.Generator]:
    """Scores with few levels, hence many ties, and seen items."""
    rng = np.random.default_rng(seed)
    table = rng.integers(-levels, levels + 1, (n_users, n_items)).astype(np.float32)
    return table, interactions(pairs(rng.random(table.shape) < 0.3), n_users, n_items), rng


@given(
    seed=st.integers(0, 2**20),
    n_users=st.integers(1, 40),
    n_items=st.integers(1, 300),
    levels=st.integers(0, 4),
    k=st.integers(1, 80),
    memory=st.sampled_from([1, 2**17, 2**28]),
)
def test_lists_equal_a_full_sort(seed: int, n_users: int, n_items: int, levels: int, k: int, memory: int) -> None:
    table, seen, rng = world(seed, n_users, n_items, levels)
    users = rng.permutation(n_users)[: 1 + seed % n_users]
    candidates = rng.permutation(n_items)[: seed % (n_items + 1)]
    result = rank(TableScorer(table), users, candidates, seen, k, seed=seed % 5, memory=memory)
    items, scores = brute_force(table, users, candidates, seen, k, seed % 5)
    assert np.array_equal(result.items, items)
    assert np.array_equal(result.scores, scores)
    assert np.array_equal(result.users, users)


def test_more_users_and_items_than_one_block_holds() -> None:
    table, seen, _ = world(0, 1100, 700, 3)
    users, candidates = np.arange(1100), np.arange(700)
    items, scores = brute_force(table, users, candidates, seen, 5, 1)
    for memory in (2**16, 2**28):
        result = rank(TableScorer(table), users, candidates, seen, 5, seed=1, memory=memory)
        assert np.array_equal(result.items, items)
        assert np.array_equal(result.scores, scores)


@pytest.mark.parametrize("levels", [1, 1000])
def test_the_operations_of_a_gpu_give_the_same_lists(levels: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """They run on the CPU here: the device only decides how the largest values and true places are found."""
    monkeypatch.setattr("timbrec.ranking.selection._on_cpu", lambda _: False)
    table, seen, _ = world(1, 40, 5000, levels)
    items, scores = brute_force(table, np.arange(40), np.arange(5000), seen, 30, 0)
    result = rank(TableScorer(table), np.arange(40), np.arange(5000), seen, 30)
    assert np.array_equal(result.items, items)
    assert np.array_equal(result.scores, scores)


@pytest.mark.parametrize("tile", [32, 64, 2048])
def test_tiles_change_no_list(tile: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also with scores that rise from tile to tile, so that every tile holds better candidates than all before it."""
    monkeypatch.setattr("timbrec.ranking.columns._TILE", tile)
    table, seen, _ = world(2, 40, 1000, 50)
    order = np.argsort(tie_order(1000, 0))
    table[20:, order] = np.arange(1000) // 3
    items, scores = brute_force(table, np.arange(40), np.arange(1000), seen, 70, 0)
    result = rank(TableScorer(table), np.arange(40), np.arange(1000), seen, 70)
    assert np.array_equal(result.items, items)
    assert np.array_equal(result.scores, scores)


@pytest.mark.parametrize("k", [1, 3, 6])
def test_every_order_of_scores_is_found(k: int) -> None:
    table = np.array(list(permutations(range(5))), np.float32)
    nothing = interactions([], len(table), 5)
    result = rank(TableScorer(table), np.arange(len(table)), np.arange(5), nothing, k)
    best = np.argsort(-table, axis=1)[:, :k]
    assert np.array_equal(result.items[:, :5], best)
    assert (result.items[:, 5:] == -1).all()


def test_places_without_a_candidate_are_minus_one() -> None:
    table, seen = np.array([[3.0, 2.0, 1.0]] * 2), interactions([(0, 0), (1, 0), (1, 1), (1, 2)], 2, 3)
    result = rank(TableScorer(table), np.arange(2), np.array([0, 2]), seen, 4)
    assert result.items.tolist() == [[2, -1, -1, -1], [-1, -1, -1, -1]]
    assert result.scores.tolist() == [[1, -INF, -INF, -INF], [-INF] * 4]


def test_one_user_and_one_item() -> None:
    result = rank(TableScorer(np.array([[0.5]])), np.array([0]), np.array([0]), interactions([], 1, 1), 1)
    assert (result.items.tolist(), result.scores.tolist()) == ([[0]], [[0.5]])


def test_no_users_and_no_candidates() -> None:
    scorer, seen = TableScorer(np.zeros((2, 3))), interactions([(0, 0)], 2, 3)
    empty = np.array([], np.int64)
    assert rank(scorer, empty, np.arange(3), seen, 2).items.shape == (0, 2)
    assert rank(scorer, np.arange(2), empty, seen, 2).items.tolist() == [[-1, -1]] * 2


# Results do not depend on blocks


@pytest.fixture(scope="module")
def dots() -> tuple[DotScorer, Interactions]:
    rng = np.random.default_rng(0)
    users, items = (rng.standard_normal((n, 48)).astype(np.float32) for n in (700, 1500))
    items[100:130] = items[0]  # exact ties, too
    return DotScorer(users, items), interactions(pairs(rng.random((700, 1500)) < 0.02), 700, 1500)


@pytest.mark.parametrize("memory", [1, 2**17, 300_000, 2**20])
def test_block_sizes_change_no_bit(dots: tuple[DotScorer, Interactions], memory: int) -> None:
    scorer, seen = dots
    whole, cut = (rank(scorer, np.arange(700), np.arange(1500), seen, 60, memory=m) for m in (2**28, memory))
    assert np.array_equal(whole.items, cut.items)
    assert np.array_equal(whole.scores, cut.scores)


def test_subsets_and_order_of_users_change_no_bit(dots: tuple[DotScorer, Interactions]) -> None:
    scorer, seen = dots
    everyone = rank(scorer, np.arange(700), np.arange(1500), seen, 60)
    for users in (np.array([17]), np.arange(699, -1, -7), np.random.default_rng(1).permutation(700)):
        subset = rank(scorer, users, np.arange(1500), seen, 60)
        assert np.array_equal(subset.items, everyone.items[users])
        assert np.array_equal(subset.scores, everyone.scores[users])


def test_order_of_candidates_changes_no_bit(dots: tuple[DotScorer, Interactions]) -> None:
    scorer, seen = dots
    first, second = (rank(scorer, np.arange(50), c, seen, 60) for c in (np.arange(1500), np.arange(1500)[::-1].copy()))
    assert np.array_equal(first.items, second.items)


def test_scores_equal_those_of_the_scorer(dots: tuple[DotScorer, Interactions]) -> None:
    scorer, seen = dots
    result = rank(scorer, np.arange(700), np.arange(1500), seen, 60)
    exact = np.einsum("ud,ukd->uk", scorer.users.astype(float), scorer.items[result.items].astype(float))
    np.testing.assert_allclose(result.scores, exact, atol=1e-5)
    assert not seen.csr().toarray()[np.arange(700)[:, None], result.items].any()


# Ties


def test_tie_order_is_uniform_over_seeds() -> None:
    from scipy.stats import chisquare

    seen = [tuple(tie_order(4, seed)) for seed in range(2400)]
    counts = [seen.count(order) for order in permutations(range(4))]
    assert sum(counts) == 2400
    assert chisquare(counts).pvalue > 0.001


def test_tie_order_is_the_same_for_the_same_seed_and_no_row_order() -> None:
    assert np.array_equal(tie_order(1000, 3), tie_order(1000, 3))
    assert not np.array_equal(tie_order(1000, 3), tie_order(1000, 4))
    assert abs(np.corrcoef(tie_order(1000, 3), np.arange(1000))[0, 1]) < 0.1


def test_ties_fall_alike_for_all_users() -> None:
    result = rank(TableScorer(np.zeros((40, 90))), np.arange(40), np.arange(90), interactions([], 40, 90), 20, seed=2)
    assert (result.items == result.items[0]).all()
    assert np.array_equal(result.items[0], np.argsort(tie_order(90, 2))[:20])


@pytest.mark.parametrize("k", [1, 2, 4])
def test_over_all_tie_orders_full_ties_give_every_list_equally_often(monkeypatch: pytest.MonkeyPatch, k: int) -> None:
    lists: list[tuple[int, ...]] = []
    for order in permutations(range(5)):
        monkeypatch.setattr(ranking, "tie_order", lambda n, seed, order=order: np.array(order))
        result = rank(TableScorer(np.ones((1, 5))), np.array([0]), np.arange(5), interactions([], 1, 5), k)
        lists.append(tuple(result.items[0]))
    assert {lists.count(order) for order in permutations(range(5), k)} == {factorial(5 - k)}


# Errors


@pytest.mark.parametrize("memory", [1, 2**28])
@pytest.mark.parametrize(
    "row",
    [[NAN, 1, 1, 1, 1], [1, 1, 1, 1, NAN], [5, 4, 3, 2, NAN], [NAN] * 5, [-INF, NAN, 0, 0, 0], [0, 0, 0, NAN, NAN]],
)  # fmt: skip
@pytest.mark.parametrize("k", [1, 2, 5, 9])
def test_nan_scores_are_refused(row: list[float], k: int, memory: int) -> None:
    table = np.zeros((40, 205), np.float32)
    table[33, 200:] = row
    with pytest.raises(DataError, match="scores are not numbers"):
        rank(TableScorer(table), np.arange(40), np.arange(205), interactions([], 40, 205), k, memory=memory)


def test_scores_of_seen_items_and_other_candidates_may_be_anything() -> None:
    result = rank(
        TableScorer(np.array([[NAN, 1, NAN]])), np.array([0]), np.array([0, 1]), interactions([(0, 0)], 1, 3), 2
    )
    assert result.items.tolist() == [[1, -1]]


def test_scorers_that_cannot_rank_cold_items_raise() -> None:
    scorer = TableScorer(np.zeros((2, 4)), can_rank_cold=False)
    seen = interactions([(0, 0), (1, 1)], 2, 4)
    assert rank(scorer, np.arange(2), np.array([0, 1]), seen, 1).items.tolist() == [[1], [0]]
    with pytest.raises(CannotRankError, match=r"cannot rank items that nobody has played in train \(2 in all\)"):
        rank(scorer, np.arange(2), np.array([1, 2, 3]), seen, 1)


@pytest.mark.parametrize("k", [0, -1])
def test_k_is_at_least_one(k: int) -> None:
    with pytest.raises(DataError, match="k must be at least 1"):
        rank(TableScorer(np.zeros((1, 1))), np.array([0]), np.array([0]), interactions([], 1, 1), k)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_ranks_the_same_items(dots: tuple[DotScorer, Interactions]) -> None:
    scorer, seen = dots
    first, second = (
        rank(scorer, np.arange(700), np.arange(1500), seen, 60, device=torch.device(name)) for name in ("cpu", "cuda")
    )
    np.testing.assert_allclose(first.scores, second.scores, atol=1e-4)
    assert (first.items == second.items).mean() > 0.999


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_refused() -> None:
    scorer = TableScorer(np.zeros((2, 4)))
    with pytest.raises(ConfigError, match=r'no GPU that PyTorch can use \(e.g. .cuda:0.\). Choose "cpu"'):
        rank(scorer, np.arange(2), np.arange(4), interactions([], 2, 4), 2, device=torch.device("cuda:0"))
