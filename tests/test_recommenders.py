"""Conformance tests of every recommender of the catalogue, and reference results of the untrained ones."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, fields, replace
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from made import fold, interactions
from timbrec import catalog
from timbrec.data.cuts import by_time, tamm2026
from timbrec.data.events import make_events
from timbrec.data.interactions import Interactions
from timbrec.data.split import Fold, Scenario, Split
from timbrec.data.vocabulary import Vocabulary
from timbrec.errors import CannotRankError, ConfigError
from timbrec.metrics.shared.base import mean
from timbrec.protocols import Content, Scorer
from timbrec.ranking.outcomes import outcome
from timbrec.ranking.rank import rank
from timbrec.ranking.scorers import normalised
from timbrec.recommenders import recommender
from timbrec.recommenders.artist_mean import ArtistMean
from timbrec.recommenders.knn import KNN
from timbrec.recommenders.popularity import Popularity
from timbrec.recommenders.random import Random
from timbrec.study import fitting
from timbrec.worlds.planted import END, START, TEST_AT, VALIDATE_AT, PlantedWorld

NAMES = catalog.names("recommenders")
DETERMINISTIC = [name for name in NAMES if catalog.load("recommenders", name).deterministic]
SMALL: dict[str, Any] = {  # settings for a fast training, for the recommenders that have them
    "epochs": 2, "batch": 16, "width": 8, "factors": 8, "elsa_epochs": 2, "feed_forward": 8, "length": 8, "samples": 8,
}  # fmt: skip
CLOSE: Any = {"rtol": 1e-4, "atol": 1e-5}  # sums in another order

FOLD = fold(0)
RNG = np.random.default_rng(1)
VECTORS, ARTIST = RNG.standard_normal((40, 6)).astype(np.float32), RNG.integers(-1, 9, 40)
CONTENT = Content(VECTORS, ARTIST)
USERS, ITEMS = np.arange(30), np.arange(40)
FROM = list(zip(FOLD.train.user.tolist(), FOLD.train.item.tolist(), FOLD.train.plays.tolist(), strict=True))
PAIRS = {(user, item) for user, item, _ in FROM}


def make(name: str) -> Any:
    """The recommender with small settings where it has any."""
    known = {field.name for field in fields(catalog.load("recommenders", name))}
    return recommender(name, {key: value for key, value in SMALL.items() if key in known})


def fit(
    name: str,
    train: Interactions = FOLD.train,
    content: Content = CONTENT,
    validation: Fold | None = None,
    seed: int = 0,
) -> Any:
    return make(name).fit(train, content, validation, np.random.default_rng(seed))


@cache
def fitted(name: str) -> Any:
    return fit(name)


def rankable(scorer: Scorer, train: Interactions = FOLD.train) -> np.ndarray:
    """The items that the scorer can rank."""
    return np.arange(train.n_items) if scorer.can_rank_cold else train.items


def scores(scorer: Scorer, train: Interactions = FOLD.train) -> np.ndarray:
    return scorer.score(np.arange(train.n_users), rankable(scorer, train)).numpy()


def unless_refused(call: Callable[..., Any], *arguments: Any) -> Any:
    """The result of the call; None if the scorer refuses."""
    try:
        return call(*arguments)
    except CannotRankError:
        return None


each = pytest.mark.parametrize("name", NAMES)
each_deterministic = pytest.mark.parametrize("name", DETERMINISTIC)


# What every recommender keeps to


@each
def test_settings_are_frozen_and_survive_json(name: str) -> None:
    settings_record = make(name)
    assert isinstance(settings_record.version, int)
    assert settings_record.version >= 1
    assert recommender(name, json.loads(json.dumps(asdict(settings_record)))) == settings_record
    for field in fields(settings_record):
        with pytest.raises(AttributeError):
            setattr(settings_record, field.name, None)
    with pytest.raises(ConfigError, match="has no setting 'sped'"):
        recommender(name, {"sped": 1})


@each
def test_the_same_generator_gives_the_same_scores(name: str) -> None:
    np.testing.assert_array_equal(scores(fit(name)), scores(fitted(name)))


@each
def test_fitting_and_scoring_change_none_of_their_inputs(name: str) -> None:
    arrays = [CONTENT.vectors, ARTIST, FOLD.train.user, FOLD.train.item, FOLD.train.plays]
    before = [array.copy() for array in arrays]
    digest = FOLD.train.digest
    scores(fit(name, validation=FOLD if make(name).validates else None))
    assert all(np.array_equal(array, copy) for array, copy in zip(arrays, before, strict=True))
    assert FOLD.train.digest == digest


@each
def test_scores_are_numbers(name: str) -> None:
    values = scores(fitted(name))
    assert values.shape == (30, len(rankable(fitted(name))))
    assert values.dtype == np.float32
    assert np.isfinite(values).all()


@each
def test_scores_do_not_depend_on_other_users_or_items(name: str) -> None:
    scorer = fitted(name)
    items = rankable(scorer)
    everything = scorer.score(USERS, items).numpy()
    users, chosen = RNG.permutation(30)[:11], RNG.permutation(len(items))[:17]
    np.testing.assert_allclose(scorer.score(users, items[chosen]).numpy(), everything[users][:, chosen], **CLOSE)
    np.testing.assert_allclose(scorer.score(USERS[3:4], items[:1]).numpy(), everything[3:4, :1], **CLOSE)


@each
def test_scoring_twice_gives_the_same_scores(name: str) -> None:
    np.testing.assert_array_equal(scores(fitted(name)), scores(fitted(name)))


@each
def test_cold_items_are_ranked_or_refused(name: str) -> None:
    scorer, task = fitted(name), FOLD.task("cold")
    if scorer.can_rank_cold:
        assert (rank(scorer, task.users, task.candidates, FOLD.train, 3).items >= 0).all()
    else:
        with pytest.raises(CannotRankError):
            rank(scorer, task.users, task.candidates, FOLD.train, 3)


@each
def test_uses_content_matches_the_scores(name: str) -> None:
    other = replace(CONTENT, vectors=CONTENT.vectors[::-1].copy())
    same = np.allclose(scores(fit(name, content=other)), scores(fitted(name)))
    assert same != make(name).uses_content


@each
def test_deterministic_matches_the_scores(name: str) -> None:
    same = np.array_equal(scores(fit(name, seed=1)), scores(fitted(name)))
    assert same == make(name).deterministic


@each
def test_settings_chosen_in_validation_can_be_set(name: str) -> None:
    settings_record = make(name)
    validated = fit(name, validation=FOLD).chosen
    assert bool(validated) == settings_record.validates
    assert type(replace(settings_record, **validated)) is type(settings_record)
    assert fit(name).chosen == {}


@each
def test_recommenders_without_validation_ignore_the_fold(name: str) -> None:
    if not make(name).validates:
        np.testing.assert_array_equal(scores(fit(name, validation=FOLD)), scores(fitted(name)))


@each
def test_facts_are_numbers(name: str) -> None:
    assert all(isinstance(fact, float) and np.isfinite(fact) for fact in fitted(name).facts.values())


@each
def test_fold_in_reads_only_the_users_own_history(name: str) -> None:
    scorer = fitted(name)
    histories = interactions([(0, 1), (0, 2), (1, 3), (3, 1), (3, 2)], 4, 40)
    vectors = unless_refused(scorer.user_vectors, histories)
    if vectors is None:
        return
    assert vectors.shape[0] == 4
    assert np.isfinite(vectors).all()  # also of the user without any history
    np.testing.assert_allclose(vectors[0], vectors[3], **CLOSE)  # the same history
    alone = scorer.user_vectors(interactions([(0, 3)], 1, 40))
    np.testing.assert_allclose(vectors[1], alone[0], **CLOSE)


@each
def test_added_items_come_last_and_change_no_score(name: str) -> None:
    scorer = fitted(name)
    more = unless_refused(scorer.add_items, CONTENT.vectors[5:8])
    assert (more is None) == (not (make(name).uses_content and scorer.can_rank_cold))
    if more is None:
        return
    extended = more.score(USERS, np.arange(43)).numpy()
    np.testing.assert_allclose(extended[:, :40], scorer.score(USERS, ITEMS).numpy(), **CLOSE)
    assert np.isfinite(extended).all()
    twice = more.add_items(CONTENT.vectors[5:6]).score(USERS, np.array([40, 43])).numpy()
    np.testing.assert_allclose(twice[:, 0], twice[:, 1], **CLOSE)


@each
@settings(max_examples=15)
@given(st.data())
def test_more_candidates_do_not_reorder_the_others(name: str, data: Any) -> None:
    scorer = fitted(name)
    many = rankable(scorer)
    kept = np.array(sorted(data.draw(st.sets(st.sampled_from(many.tolist()), min_size=1))))
    users = np.array(data.draw(st.lists(st.integers(0, 29), min_size=1, max_size=5, unique=True)))
    few, all_of_them = (rank(scorer, users, items, FOLD.train, 40, seed=3).items for items in (kept, many))
    for mine, theirs in zip(few, all_of_them, strict=True):
        assert np.array_equal(theirs[np.isin(theirs, kept)], mine[mine >= 0])


@each
@settings(max_examples=15)
@given(st.permutations(list(range(6))), st.integers(0, 2**32 - 1))
def test_fold_in_of_many_users_equals_fold_in_of_each(name: str, order: list[int], seed: int) -> None:
    """A user's vector depends neither on other users and their order nor on the padding of sequences."""
    scorer, rng = fitted(name), np.random.default_rng(seed)
    played = [np.sort(rng.choice(40, size, replace=False)) for size in (0, 1, 2, 5, 9, 30)]

    def vectors(of: list[np.ndarray]) -> np.ndarray:
        user, item = np.repeat(np.arange(len(of)), [len(place) for place in of]), np.concatenate([*of, []]).astype(int)
        times = item * 7919 % 101
        return scorer.user_vectors(Interactions(user, item, item % 5 + 1, times, len(of), 40))

    together = unless_refused(vectors, played)
    if together is None:
        return
    assert np.isfinite(together).all()
    np.testing.assert_allclose(vectors([played[place] for place in order]), together[order], **CLOSE)
    changed = [*played[:4], np.array([3]), played[5]]
    np.testing.assert_allclose(np.delete(vectors(changed), 4, 0), np.delete(together, 4, 0), **CLOSE)
    for place in range(6):
        np.testing.assert_allclose(vectors([played[place]])[0], together[place], **CLOSE)


@each_deterministic
def test_a_longer_history_changes_no_other_users_scores(name: str) -> None:
    """User 0 plays two more known tracks: only the scores of user 0 change. For untrained recommenders."""
    if name in ("popularity", "ease"):  # counts and item weights are learned from everybody
        return
    new = [item for item in FOLD.train.items if (0, item) not in PAIRS][:2]
    more = fit(name, interactions([*FROM, *((0, item, 1) for item in new)], 30, 40))
    moved = np.abs(scores(more) - scores(fitted(name))).max(1)
    assert moved[0] > 0
    np.testing.assert_array_equal(np.flatnonzero(moved), [0])


@each
def test_vectors_of_unplayed_tracks_change_no_hot_score(name: str) -> None:
    """Statistics, targets and negatives come from train items only."""
    moved = CONTENT.vectors.copy()
    moved[FOLD.train.item_users == 0] += 100
    before, after = fitted(name), fit(name, content=replace(CONTENT, vectors=moved))
    items = FOLD.train.items
    np.testing.assert_allclose(after.score(USERS, items).numpy(), before.score(USERS, items).numpy(), **CLOSE)


# Odd worlds


def small_train() -> Interactions:
    """Three users and three tracks; a user and a track have a single play."""
    return interactions([(0, 0), (1, 1), (1, 0), (2, 1)], 3, 3)


@each
@pytest.mark.parametrize(
    "vectors",
    [np.zeros((3, 4)), np.ones((3, 4)), np.eye(3, 4) * [[1], [0], [1]], np.array([[1e-20] * 4, [1e4] * 4, [0] * 4])],
    ids=["all zero", "all the same", "some zero", "tiny and large"],
)
def test_three_tracks_with_odd_vectors(name: str, vectors: np.ndarray) -> None:
    content = Content(vectors.astype(np.float32), np.array([0, 0, -1]))
    assert np.isfinite(scores(fit(name, small_train(), content), small_train())).all()


@each
def test_each_user_played_a_single_track(name: str) -> None:
    train = interactions([(user, user) for user in range(30)], 30, 40)
    assert np.isfinite(scores(fit(name, train), train)).all()


@each
def test_one_user_and_one_track(name: str) -> None:
    train = interactions([(0, 0)], 1, 1)
    content = Content(np.ones((1, 4), np.float32), np.zeros(1, np.int64))
    assert np.isfinite(scores(fit(name, train, content), train)).all()


# Nothing depends on names


@each_deterministic
def test_renumbered_items_get_the_scores_of_their_old_numbers(name: str) -> None:
    order = np.random.default_rng(2).permutation(40)  # row i of the new catalogue is row order[i] of the old
    place = np.argsort(order)
    train = interactions(zip(FOLD.train.user, place[FOLD.train.item], FOLD.train.plays, strict=True), 30, 40)
    other = fit(name, train, Content(CONTENT.vectors[order], ARTIST[order]))
    items = rankable(fitted(name))
    np.testing.assert_allclose(
        other.score(USERS, place[items]).numpy(), fitted(name).score(USERS, items).numpy(), **CLOSE
    )


@each_deterministic
def test_renumbered_users_get_the_scores_of_their_old_numbers(name: str) -> None:
    order = np.random.default_rng(3).permutation(30)
    train = interactions(
        zip(np.argsort(order)[FOLD.train.user], FOLD.train.item, FOLD.train.plays, strict=True), 30, 40
    )
    np.testing.assert_allclose(scores(fit(name, train)), scores(fitted(name))[order], **CLOSE)


# The poison test


WORLD = PlantedWorld(users=60, items=90, dim=12, seed=3)


def poisoned() -> pl.DataFrame:
    """The log of WORLD with everything from T on replaced: other users, tracks, counts, and plays of known pairs."""
    events = WORLD.events
    table = pl.DataFrame(
        {"user": events.users.ids.gather(events.table["user"]), "item": events.items.ids.gather(events.table["item"]),
         "time": events.table["time"]}
    ).filter(pl.col("time") < TEST_AT)  # fmt: skip
    items = events.items.ids
    later = [("0 new user", items[0]), ("zz new user", items[1]), ("zz new user", "zz new track")]
    later += [(table["user"][1], "0 new track"), (table["user"][2], "zz new track")]
    later += [(table["user"][0], item) for item in items[::2]]
    rows = pl.DataFrame([(user, item, TEST_AT) for user, item in later], schema=table.columns, orient="row")
    return pl.concat([table, *[rows] * 3], how="vertical_relaxed")


@each
def test_plays_after_the_test_began_change_no_fit(name: str) -> None:
    catalogue = WORLD.events.items
    split = by_time(make_events(poisoned()).restricted_to(catalogue), START, VALIDATE_AT, TEST_AT, END)
    clean, content = WORLD.split, Content(WORLD.vectors(0.8), np.arange(90) % 20)
    assert split.test.hot.digest != clean.test.hot.digest
    assert split.test.cold.digest != clean.test.cold.digest
    assert [split.parts()[part].digest for part in ("fit", "validation_hot", "validation_cold", "train")] == [
        clean.parts()[part].digest for part in ("fit", "validation_hot", "validation_cold", "train")
    ]
    from_clean, from_poisoned = (fitting.fit(make(name), each, content, seed=0)[0] for each in (clean, split))
    np.testing.assert_array_equal(scores(from_clean, clean.test.train), scores(from_poisoned, clean.test.train))
    assert (from_clean.chosen, from_clean.facts) == (from_poisoned.chosen, from_poisoned.facts)


@each_deterministic
def test_tracks_first_played_in_the_test_change_no_score_of_others(name: str) -> None:
    """The same with a catalogue of its own: new tracks have vectors too, and stand among the old ones."""
    clean = WORLD.split
    split = by_time(make_events(poisoned()), START, VALIDATE_AT, TEST_AT, END)
    vectors, artist = WORLD.vectors(0.8), np.arange(90) % 20
    rows = WORLD.events.items.rows(split.items.ids)  # -1, the last track's vector and artist, for the new ones
    before = fitting.fit(make(name), clean, Content(vectors, artist), seed=0)[0]
    after = fitting.fit(make(name), split, Content(vectors[rows], artist[rows]), seed=0)[0]
    users = np.arange(len(clean.users))
    assert split.users == clean.users
    old = clean.test.train.items
    new = split.items.rows(clean.items.take(old))
    np.testing.assert_allclose(after.score(users, new).numpy(), before.score(users, old).numpy(), **CLOSE)


# KNN


def brute_force_knn(knn: KNN, train: Interactions, vectors: np.ndarray) -> np.ndarray:
    """Profiles and cosines in float64, user by user."""
    vectors = vectors.astype(np.float64)
    known = vectors[sorted(set(train.item))]
    if knn.scale != "none":
        vectors = vectors - known.mean(0)
    if knn.scale == "standardise":
        vectors = vectors / known.std(0)
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = vectors / norms
    table = np.zeros((train.n_users, train.n_items))
    for user in range(train.n_users):
        mine = train.user == user
        weight = np.log(1 + train.plays[mine]) if knn.weights == "log" else np.ones(mine.sum())
        profile = (weight[:, None] * (unit if knn.profile == "unit" else vectors)[train.item[mine]]).sum(
            0
        ) / weight.sum()
        profile /= np.linalg.norm(profile)
        table[user] = (unit if knn.similarity == "cosine" else vectors) @ profile
    return table


@pytest.mark.parametrize(
    "settings",
    list(product(["unit", "raw"], ["cosine", "dot"], ["equal", "log"], ["none", "centre", "standardise"])),
    ids="-".join,
)
def test_knn_equals_a_loop_over_users(settings: tuple[Any, ...]) -> None:
    knn = KNN(*settings)
    scorer = knn.fit(FOLD.train, CONTENT, None, RNG)
    np.testing.assert_allclose(
        scorer.score(USERS, ITEMS).numpy(), brute_force_knn(knn, FOLD.train, CONTENT.vectors), atol=2e-5
    )
    np.testing.assert_allclose(scorer.user_vectors(FOLD.train), scorer.users, atol=1e-6)
    added = scorer.add_items(CONTENT.vectors)
    np.testing.assert_allclose(added.items[40:], scorer.items, atol=1e-6)


def test_knn_finds_the_neighbours_of_faiss() -> None:
    faiss = pytest.importorskip("faiss", reason="faiss is an oracle of exact search")
    scorer = KNN().fit(FOLD.train, CONTENT, None, RNG)
    index = faiss.IndexFlatIP(6)
    index.add(scorer.items)
    _, neighbours = index.search(scorer.users, 10)
    lists = rank(scorer, USERS, ITEMS, interactions([], 30, 40), 10)
    assert np.array_equal(lists.items, neighbours)


def test_a_history_changes_only_its_own_profile() -> None:
    more = interactions([*zip(FOLD.train.user, FOLD.train.item, strict=True), (0, 1)], 30, 40)
    assert (0, 1) not in set(zip(FOLD.train.user.tolist(), FOLD.train.item.tolist(), strict=True))
    before, after = (KNN().fit(train, CONTENT, None, RNG).users for train in (FOLD.train, more))
    assert np.array_equal(before[1:], after[1:])
    assert not np.allclose(before[0], after[0])


def test_zero_profiles_are_counted_and_left_to_the_tie_order() -> None:
    vectors = np.array([[1, 0], [-1, 0], [0, 0], [0, 1], [1, 1]], np.float32)
    train = interactions([(0, 0), (0, 1), (1, 2), (2, 3)], 4, 5)  # opposite vectors; a zero vector; user 3 has nothing
    scorer = KNN(scale="none").fit(train, Content(vectors), None, RNG)
    assert scorer.facts == {"zero vectors": 1, "zero profiles": 2}
    assert not scorer.score(np.array([0, 1]), np.arange(5)).any()
    lists = rank(scorer, np.array([0, 1, 2]), np.arange(5), interactions([], 4, 5), 5)
    assert np.array_equal(lists.items[0], lists.items[1])
    assert lists.items[2, 0] == 3


def test_knn_scaling_uses_train_items_only() -> None:
    cold = np.setdiff1d(ITEMS, FOLD.train.items)
    moved = CONTENT.vectors.copy()
    moved[cold] += 1000
    for scale in ("centre", "standardise"):
        before, after = (KNN(scale=scale).fit(FOLD.train, Content(v), None, RNG) for v in (CONTENT.vectors, moved))
        assert np.array_equal(before.users, after.users)
        assert np.array_equal(before.items[FOLD.train.items], after.items[FOLD.train.items])


def test_a_constant_dimension_is_dropped_by_standardising() -> None:
    vectors = np.concatenate([CONTENT.vectors, np.full((40, 1), 7, np.float32)], 1)
    plain, widened = (
        KNN(scale="standardise").fit(FOLD.train, Content(v), None, RNG) for v in (CONTENT.vectors, vectors)
    )
    np.testing.assert_allclose(widened.score(USERS, ITEMS), plain.score(USERS, ITEMS), atol=1e-5)


# The reference study's KNN


@pytest.fixture(scope="module")
def study_split(golden: Path) -> Split:
    events = pl.read_parquet(golden / "study/split/events.parquet")
    log = make_events(events.rename({"user_id": "user", "track_id": "item", "timestamp": "time"}))
    catalogue = Vocabulary(pl.Series(np.load(golden / "study/knn.npz")["track_ids"]))
    return tamm2026(log.restricted_to(catalogue), START, TEST_AT, END)


@pytest.mark.parametrize(("scenario", "depth"), [("hot", 50), ("cold", 20)])
def test_lists_and_metrics_equal_the_papers(golden: Path, study_split: Split, scenario: Scenario, depth: int) -> None:
    theirs = np.load(golden / "study/knn.npz")
    fold, items = study_split.test, study_split.items
    scorer = KNN(profile="raw", scale="none").fit(fold.train, Content(theirs["vectors"]), None, RNG)
    task = fold.task(scenario)
    users = study_split.users.rows(pl.Series(theirs["users"]))
    lists = rank(scorer, users, task.candidates, fold.train, depth)
    listed = np.where(
        lists.items < 0,
        -1,
        items.take(lists.items.clip(0).ravel()).cast(pl.Int64).to_numpy().reshape(lists.items.shape),
    )
    assert np.array_equal(listed, theirs[f"{scenario}_lists"])

    asked = outcome(rank(scorer, task.users, task.candidates, fold.train, depth).items, task, fold.train)
    expected = json.loads((golden / "study/knn_metrics.json").read_text())
    mine = {label: value for label, value in expected.items() if label.startswith(scenario)}
    assert len(mine) == (5 if scenario == "hot" else 10)
    for label, value in mine.items():
        name, k = label.removeprefix(f"{scenario}_").split("@")
        metric = catalog.load("metrics", name)(int(k))
        assert mean(metric.values(asked)) == pytest.approx(value, abs=1e-9), label


# Artist mean, popularity, random


def test_artist_mean_by_hand() -> None:
    vectors = np.array([[2, 0], [0, 5], [3, 3], [1, 0], [0, -1]], np.float32)
    artist = np.array([7, 7, 7, 3, -1])  # track 2 of artist 7 is not in train; artist 3 has no other; 4 has none
    train = interactions([(0, 0), (0, 1), (1, 3), (2, 4)], 3, 5)
    scorer = ArtistMean(scale="none").fit(train, Content(vectors, artist), None, RNG)
    scenario = np.sqrt(0.5)
    np.testing.assert_allclose(scorer.items, [[scenario, scenario]] * 3 + [[1, 0], [0, 0]], atol=1e-6)
    np.testing.assert_allclose(scorer.users, [[scenario, scenario], [1, 0], [0, 0]], atol=1e-6)
    assert scorer.averaged is scorer.items
    raw = ArtistMean(scale="none", profile="raw").fit(train, Content(vectors, artist), None, RNG)
    np.testing.assert_allclose(raw.averaged[0], [0.5, 0.5], atol=1e-6)


def test_an_artist_without_train_tracks_scores_zero() -> None:
    train = interactions([(0, 0)], 1, 3)
    scorer = ArtistMean(scale="none").fit(train, Content(np.eye(3, dtype=np.float32), np.array([0, 1, 0])), None, RNG)
    np.testing.assert_allclose(scorer.score(np.array([0]), np.arange(3)).numpy(), [[1, 0, 1]], atol=1e-6)


def test_artist_mean_scales_the_tracks_and_not_the_means() -> None:
    """An unknown artist keeps the zero vector; equal vectors of all tracks of an artist give KNN on these vectors."""
    artist = ARTIST
    scorer = fitted("artist-mean")
    nobody = np.setdiff1d(np.unique(artist), artist[FOLD.train.items])
    assert not scorer.items[(artist < 0) | np.isin(artist, nobody)].any()
    train = FOLD.train.items
    by_artist = CONTENT.vectors[np.arange(40) % 9][artist.clip(0)]
    scaled = (by_artist - by_artist[train].mean(0)) / by_artist[train].std(0)
    units = scaled / np.linalg.norm(scaled, axis=1, keepdims=True)
    same = ArtistMean(scale="standardise").fit(FOLD.train, Content(by_artist, artist), None, RNG)
    known = (artist >= 0) & ~np.isin(artist, nobody)
    np.testing.assert_allclose(same.items[known], units[known], atol=1e-5)


def test_new_tracks_rank_first_in_random_order() -> None:
    scorer, new = fitted("new-first"), FOLD.train.item_users == 0
    lists = rank(scorer, USERS, ITEMS, interactions([], 30, 40), 40).items
    count = int(new.sum())
    assert new[lists[:, :count]].all()
    assert not new[lists[:, count:]].any()
    assert len(np.unique(lists, axis=0)) == 30
    plain = scorer.random.score(USERS, ITEMS).numpy()
    np.testing.assert_array_equal(lists[:, :count], np.flatnonzero(new)[np.argsort(-plain[:, new], axis=1)])


def test_artist_mean_needs_artists() -> None:
    with pytest.raises(ConfigError, match=r"needs the artist of each track.*Name an items table with `artist`"):
        ArtistMean().fit(FOLD.train, Content(CONTENT.vectors), None, RNG)


def test_popularity_counts_users_not_plays() -> None:
    train = interactions([(0, 0, 9), (1, 1, 1), (2, 1, 1)], 3, 3)
    scorer = Popularity().fit(train, CONTENT, None, RNG)
    assert scorer.score(np.arange(3), np.arange(3)).tolist() == [[1, 2, 0]] * 3


def test_random_lists_are_uniform_and_independent_between_users() -> None:
    scorer = Random().fit(FOLD.train, CONTENT, None, np.random.default_rng(0))
    n = 4000
    nothing = interactions([], n, 6)
    lists = rank(scorer, np.arange(n), np.arange(6), nothing, 6).items
    for place in range(6):
        assert stats.chisquare(np.bincount(lists[:, place], minlength=6)).pvalue > 1e-3
    pairs = lists[:, 0] * 6 + lists[:, 1]
    assert stats.chisquare(np.bincount(pairs, minlength=36)[~np.eye(6, dtype=bool).ravel()]).pvalue > 1e-3
    neighbours = lists[:-1, 0] * 6 + lists[1:, 0]  # first items of users beside each other
    assert stats.chisquare(np.bincount(neighbours, minlength=36)).pvalue > 1e-3


def test_random_scores_at_chance() -> None:
    big = fold(5, n_users=600, n_items=120, density=0.3)
    task, nothing = big.task("hot"), big.train
    result = outcome(rank(Random().fit(big.train, CONTENT, None, RNG), task.users, task.candidates, nothing, 20).items,
                    task, big.train)  # fmt: skip
    for name in ("hitrate", "recall", "precision", "ndcg", "mrr", "map"):
        metric = catalog.load("metrics", name)(20)
        differences = metric.values(result) - metric.chance(result)
        assert abs(differences.mean()) < 4 * differences.std() / np.sqrt(len(differences)), name


@pytest.mark.parametrize("scale", [1e37, 1e25, 1e-25, 1e-42])
def test_norms_of_huge_and_tiny_vectors_are_right(scale: float) -> None:
    vectors = (np.array([[3, 4], [-5, 12], [0, 0]]) * scale).astype(np.float32)
    expected: list[list[float]] = [[0.6, 0.8], [-5 / 13, 12 / 13], [0, 0]]
    np.testing.assert_allclose(normalised(vectors), expected, atol=0.05 if scale == 1e-42 else 1e-6)


@pytest.mark.parametrize("name", catalog.CATALOG["recommenders"])
def test_the_catalogue_says_which_recommenders_are_trained(name: str) -> None:
    assert catalog.CATALOG["recommenders"][name].trained == catalog.load("recommenders", name).validates
