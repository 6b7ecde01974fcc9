"""Exact search in a model: by a scan of all items, and by bounds of their scores."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import timbrec
from timbrec.data.vocabulary import Vocabulary
from timbrec.errors import DataError
from timbrec.models import sketch
from timbrec.models.index import Index
from timbrec.models.paths import arc, way
from timbrec.models.search import Bounded, Limits, Search, best
from timbrec.models.sketch import Sketch

N, DIM = 3_000, 60


@pytest.fixture
def sketched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small indices use a sketch from the first search on."""
    monkeypatch.setattr(sketch, "SCANS", 0)
    monkeypatch.setattr(sketch, "LEAST", 0)


def vectors(kind: str) -> Any:
    """Items in few directions, in all of them alike (where bounds help little), or twice each with zeros between."""
    rng = np.random.default_rng(1)
    items = rng.standard_normal((N, DIM)).astype(np.float32)
    if kind == "few":
        items = (rng.standard_normal((N, 8)) @ rng.standard_normal((8, DIM)) + 0.1 * items).astype(np.float32)
    if kind == "repeated":
        items[1::2] = items[::2]
        items[::7] = 0
    return items


@pytest.mark.parametrize("kind", ["few", "even", "repeated"])
@pytest.mark.parametrize("cosine", [False, True])
@pytest.mark.parametrize("allowed_share", [1.0, 0.02])
@pytest.mark.usefixtures("sketched")
def test_bounds_change_no_list(kind: str, cosine: bool, allowed_share: float) -> None:
    items = vectors(kind)
    index = Index.of(items[:5], items[:-50]).plus(items[-50:])
    rng = np.random.default_rng(2)
    allowed, ties = rng.random(N) < allowed_share, rng.permutation(N)
    groups = rng.integers(-1, 30, N)
    for query in rng.standard_normal((5, DIM)).astype(np.float32):
        scores = items @ query
        if cosine:
            lengths = np.linalg.norm(items, axis=1)
            scores = np.where(lengths > 0, scores / np.where(lengths > 0, lengths, 1), 0)
        order = np.lexsort((ties, -scores.round(4)))  # items with equal vectors differ by rounding alone
        order = order[allowed[order]]
        ranking = Search(index, query[None], cosine=cosine).ranking(np.ones(1, np.float32), allowed, ties)
        assert isinstance(ranking, Bounded)
        rows, values = best(ranking, 20)
        np.testing.assert_array_equal(rows, order[:20])
        np.testing.assert_allclose(values, scores[rows], atol=2e-5)
        limited, _ = best(ranking, 20, [Limits(groups, 1, frozenset([3]))])
        used: set[int] = {3}
        expected = [row for row in order if groups[row] < 0 or not (groups[row] in used or used.add(groups[row]))]  # type: ignore[func-returns-value]
        np.testing.assert_array_equal(limited, expected[:20])


@pytest.mark.parametrize("kind", ["few", "even", "repeated"])
def test_no_inner_product_exceeds_its_bound(kind: str) -> None:
    items, queries = vectors(kind), vectors("even")[:50]
    bounds = Sketch.of(items, directions=8).bounds(queries)
    assert (bounds >= queries.astype(float) @ items.T.astype(float)).all()
    if kind == "few":
        excess = bounds - queries @ items.T
        assert np.median(excess) < 0.2 * np.median(np.linalg.norm(items, axis=1)) * np.sqrt(DIM)


@pytest.mark.usefixtures("sketched")
def test_a_path_is_the_same_with_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    items = vectors("few")
    ends, allowed, ties = np.array([3, 4]), np.ones(N, bool), np.arange(N)
    allowed[ends] = False
    bounded = way(Index.of(items[:0], items), ends, 6, allowed, ties)
    monkeypatch.setattr(sketch, "SCANS", 10)
    np.testing.assert_array_equal(bounded, way(Index.of(items[:0], items), ends, 6, allowed, ties))


@pytest.mark.usefixtures("sketched")
@pytest.mark.parametrize("kind", ["few", "even", "repeated"])
def test_a_path_takes_the_best_track_that_the_limits_leave_at_each_point(kind: str) -> None:
    items, ties = vectors(kind), np.random.default_rng(3).permutation(N)
    ends = np.array([3, 4])
    allowed, groups = np.arange(N) % 3 > 0, np.random.default_rng(4).integers(0, 40, N)
    lengths = np.linalg.norm(items, axis=1, keepdims=True)
    unit = np.divide(items, lengths, out=np.zeros_like(items), where=lengths > 0).astype(float)
    expected: list[int] = []
    for weights in arc(unit[3].astype(np.float32), unit[4].astype(np.float32), 12):
        cosines = (unit @ (weights @ unit[ends])).round(5)  # items with equal vectors differ by rounding alone
        free = allowed & ~np.isin(groups, groups[expected]) & (groups != 7)
        order = np.lexsort((ties, -cosines))
        expected.append(int(order[free[order]][0]))
    rows = way(Index.of(items[:0], items), ends, 12, allowed, ties, [Limits(groups, 1, frozenset([7]))])
    assert rows.tolist() == expected


@pytest.mark.usefixtures("sketched")
def test_a_path_through_vectors_without_strong_directions_scans_once(monkeypatch: pytest.MonkeyPatch) -> None:
    items, scores = vectors("even"), Index.scores
    scans: list[Any] = []

    def counted(index: Index, vector: Any) -> Any:
        scans.append(vector)
        return scores(index, vector)

    monkeypatch.setattr(Index, "scores", counted)
    ends, allowed, unit = np.array([3, 4]), np.ones(N, bool), items / np.linalg.norm(items, axis=1, keepdims=True)
    allowed[ends] = False
    expected: list[int] = []
    for weights in arc(unit[3], unit[4], 8):
        cosines = (unit @ (weights @ unit[ends])).round(6)
        cosines[[3, 4, *expected]] = -2
        expected.append(int(cosines.argmax()))
    assert way(Index.of(items[:0], items[:-60]).plus(items[-60:]), ends, 8, allowed, np.arange(N)).tolist() == expected
    assert len(scans) <= 1


def test_points_of_an_arc_are_at_equal_angles() -> None:
    start, end = np.eye(3, dtype=np.float32)[:2]
    weights = arc(start, end, 2)
    angles = np.deg2rad([30, 60])
    np.testing.assert_allclose(weights, np.column_stack([np.cos(angles), np.sin(angles)]), atol=1e-6)


@pytest.mark.usefixtures("sketched")
def test_vectors_that_are_not_numbers_are_refused() -> None:
    items = vectors("even")
    items[7, 3] = np.nan
    for index, query in ((Index.of(items[:0], items), items[:1]), (Index.of(items[:0], items[8:]), items[7:8])):
        with pytest.raises(DataError, match="not numbers"):
            Search(index, query).ranking(np.ones(1, np.float32), np.ones(len(index), bool), np.arange(len(index)))


@pytest.mark.parametrize("ascending", [False, True])
@pytest.mark.parametrize("count", [1, 3, 20, 900])
def test_rows_of_few_ids_are_those_of_many(count: int, ascending: bool) -> None:
    ids = [f"track {number * 7919 % 5_000}\u00e9\U0001f600"[: 11 + number % 2] for number in range(5_000)]
    ids = sorted(ids) if ascending else ids
    known = {name: row for row, name in enumerate(ids)}
    queries: list[Any] = [*ids[-1:], *ids[40 : 40 + count - 2], "track 99999"][-count:]
    queries[count // 2] = None if count > 3 else queries[count // 2]
    rows = Vocabulary(ids).rows(pl.Series(queries, dtype=pl.String))
    assert rows.dtype == np.int64
    assert rows.tolist() == [known.get(name, -1) for name in queries]


def test_a_saved_model_searches_with_its_sketch_at_once_and_lists_what_a_scan_does(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sketch, "LEAST", 0)
    items, ids = vectors("few"), [f"track {row}" for row in range(N)]
    plays = pl.DataFrame({"user": ["a", "a", "b"], "item": ids[:3]})
    model = timbrec.fit(plays, (ids[:-9], items[:-9]), "knn", scale="none")
    loaded = timbrec.Model.load(model.save(tmp_path / "model")).add_items(ids[-9:-5], items[-9:-5])
    again = timbrec.Model.load(loaded.add_items(ids[-5:], items[-5:]).save(tmp_path / "again"))
    unit = (items / np.linalg.norm(items, axis=1, keepdims=True)).astype(float)
    for searched, count in ((loaded, N - 5), (again, N)):
        index = searched.index
        assert index is not None
        assert index.sketched() is not None
        order = {name: row for row, name in enumerate(ids)}
        for row in (7, 200, N - 6):
            expected = np.argsort(-(unit[:count] @ unit[row]))[1:16]
            listed = searched.similar(ids[row], 15)
            assert [order[name] for name in listed["item"]] == expected.tolist()
            np.testing.assert_allclose(listed["score"], unit[expected] @ unit[row], atol=1e-6)


def test_an_index_of_a_file_without_a_sketch_is_scanned_first() -> None:
    items = vectors("few")
    arrays = {"users": items[:2], "items": items, "norms": np.linalg.norm(items, axis=1)}
    index = Index.from_arrays(arrays)
    assert index.sketched() is None
    np.testing.assert_array_equal(index.scores(items[0]), items @ items[0])
    assert index.arrays().keys() == arrays.keys(), "so few items need no sketch"
