from __future__ import annotations

import json
from datetime import datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from made import fold, interactions, log
from timbrec.data.cuts import by_items, by_time, tamm2026
from timbrec.data.events import make_events
from timbrec.data.split import SCENARIOS, Candidates, Fold, Split, load_split, save_split
from timbrec.data.splitting import SplitConfig, make_split
from timbrec.errors import DataError

START, VALIDATE, T, END = datetime(2018, 2, 1), datetime(2019, 1, 1), datetime(2019, 2, 1), datetime(2019, 3, 1)
CORRECTED = (START, VALIDATE, T, END)
STUDY = (START, T, END)
TICK = timedelta(microseconds=1)
Row = tuple[str, str, datetime]  # user, item, time
Pair = tuple[str, str]
Fact = tuple[Any, int]  # first play, number of plays
Parts = dict[str, dict[Pair, Fact]]


def contents(split: Split) -> Parts:
    """Part -> {(user id, item id): (first play, plays)}."""
    parts: Parts = {}
    for name, part in split.parts().items():
        users, items = split.users.take(part.user), split.items.take(part.item)
        first = [None] * len(part) if part.first is None else part.frame()["first"]
        parts[name] = dict(zip(zip(users, items, strict=True), zip(first, part.plays, strict=True), strict=True))
    return parts


def expected(rows: list[Row], cuts: tuple[datetime, ...], protocol: str) -> Parts | None:
    """The value of `contents` by the definition, event by event; None if a train part would be empty."""
    first: dict[Pair, datetime] = {}
    counts: dict[tuple[str, str, datetime], int] = {}
    for user, item, time in rows:
        if cuts[0] <= time < cuts[-1]:
            first[user, item] = min(time, first.get((user, item), time))
            for cut in cuts[1:]:
                counts[user, item, cut] = counts.get((user, item, cut), 0) + (time < cut)

    def parts(at: datetime, until: datetime) -> tuple[dict[Pair, Fact], dict[Pair, Fact], dict[Pair, Fact]]:
        train = {pair: (when, counts[*pair, at]) for pair, when in first.items() if when < at}
        users, items = {user for user, _ in train}, {item for _, item in train}
        later = {
            pair: (when, counts[*pair, until])
            for pair, when in first.items()
            if at <= when < until and pair[0] in users
        }
        hot = {pair: value for pair, value in later.items() if pair[1] in items}
        return train, hot, {pair: value for pair, value in later.items() if pair not in hot}

    train, hot, cold = parts(*cuts[-2:])
    if protocol == "corrected":
        fit, validation_hot, validation_cold = parts(*cuts[1:3])
    else:
        fit, validation_cold = train, dict[Pair, Fact]()
        validating = papers_validation_users({user for user, _ in hot} - {user for user, _ in cold})
        validation_hot = {pair: value for pair, value in hot.items() if pair[0] in validating}
        hot = {pair: value for pair, value in hot.items() if pair[0] not in validating}
    if not train or not fit:
        return None
    return {"fit": fit, "validation_hot": validation_hot, "validation_cold": validation_cold,
            "train": train, "test_hot": hot, "test_cold": cold}  # fmt: skip


def papers_validation_users(users: set[str]) -> set[str]:
    """The validation users of the paper, by scikit-learn itself."""
    selection = pytest.importorskip("sklearn.model_selection", reason="scikit-learn is the oracle of this split")
    if len(users) < 4:
        return set()  # scikit-learn refuses an empty train side, 30 % of three users
    return set(selection.train_test_split(sorted(users), test_size=0.7, random_state=42)[0])


# A log in which every row's place is known

ROWS = [
    # history: users a, b, c and tracks x, y, z are in fit
    ("a", "x", START),  # the first moment of the window belongs to it
    ("a", "x", START),  # twice the same: two plays
    ("b", "y", datetime(2018, 6, 1)),
    ("c", "z", VALIDATE - TICK),  # the last moment before validation
    # validation
    ("a", "y", VALIDATE),  # exactly on the boundary: after it
    ("b", "v", datetime(2019, 1, 15)),  # cold in validation, in train of the test
    ("c", "x", T - TICK),  # the last moment before the test
    ("v", "x", datetime(2019, 1, 10)),  # a user who is not in fit: not asked there, in train of the test
    ("a", "x", datetime(2019, 1, 20)),  # played before: no validation pair, but a play of train
    # test
    ("a", "z", T),  # exactly on the boundary: after it
    ("b", "y", T),  # played before T: never test
    ("b", "new", datetime(2019, 2, 10)),  # cold
    ("b", "new", datetime(2019, 2, 11)),  # the same pair again
    ("c", "new", END - TICK),  # the last moment of the window
    ("c", "v", datetime(2019, 2, 2)),  # hot: its track was cold in validation only
    ("t", "x", datetime(2019, 2, 3)),  # a user only in the test
    ("t", "only", datetime(2019, 2, 4)),  # a track only such users played
    # outside
    ("a", "old", START - TICK),
    ("a", "z", END),  # a play after the end does not count
    ("late", "late", END),
]


def test_every_row_of_a_constructed_log_is_in_its_part() -> None:
    split = by_time(log(ROWS), *CORRECTED)
    assert contents(split) == {
        "fit": {("a", "x"): (START, 2), ("b", "y"): (datetime(2018, 6, 1), 1), ("c", "z"): (VALIDATE - TICK, 1)},
        "validation_hot": {("a", "y"): (VALIDATE, 1), ("c", "x"): (T - TICK, 1)},
        "validation_cold": {("b", "v"): (datetime(2019, 1, 15), 1)},
        "train": {
            ("a", "x"): (START, 3),
            ("a", "y"): (VALIDATE, 1),
            ("b", "v"): (datetime(2019, 1, 15), 1),
            ("b", "y"): (datetime(2018, 6, 1), 1),
            ("c", "x"): (T - TICK, 1),
            ("c", "z"): (VALIDATE - TICK, 1),
            ("v", "x"): (datetime(2019, 1, 10), 1),
        },
        "test_hot": {("a", "z"): (T, 1), ("c", "v"): (datetime(2019, 2, 2), 1)},
        "test_cold": {("b", "new"): (datetime(2019, 2, 10), 2), ("c", "new"): (END - TICK, 1)},
    }
    assert split.users.ids.to_list() == ["a", "b", "c", "v"]  # only users of train
    assert split.items.ids.to_list() == ["late", "new", "old", "only", "v", "x", "y", "z"]


def test_the_same_log_by_the_papers_protocol() -> None:
    parts = contents(tamm2026(log(ROWS), *STUDY))
    assert parts["fit"] == parts["train"] == contents(by_time(log(ROWS), *CORRECTED))["train"]
    assert parts["validation_hot"] == parts["validation_cold"] == {}  # one user is free of cold pairs: too few
    assert parts["test_hot"].keys() == {("a", "z"), ("c", "v")}
    assert parts["test_cold"].keys() == {("b", "new"), ("c", "new")}


# The authors' own split


@pytest.fixture(scope="module")
def study(golden: Path) -> dict[str, pl.DataFrame]:
    """Their tables of a log with rows on every boundary."""
    names = ("events", "train", "val", "hot_test", "cold_test")
    return {name: pl.read_parquet(golden / f"study/split/{name}.parquet") for name in names}


@pytest.fixture(scope="module")
def ours(study: dict[str, pl.DataFrame]) -> Split:
    events = make_events(study["events"].rename({"user_id": "user", "track_id": "item", "timestamp": "time"}))
    return tamm2026(events, *STUDY)


@pytest.mark.parametrize(
    ("name", "theirs"),
    [("train", "train"), ("validation_hot", "val"), ("test_hot", "hot_test"), ("test_cold", "cold_test")],
)  # fmt: skip
def test_the_papers_split_row_for_row(study: dict[str, pl.DataFrame], ours: Split, name: str, theirs: str) -> None:
    part = ours.parts()[name]
    user, item = (ids.cast(pl.Int64) for ids in (ours.users.take(part.user), ours.items.take(part.item)))
    table = pl.DataFrame({"user_id": user, "track_id": item, "timestamp": part.frame()["first"], "count": part.plays})
    assert len(table) > 0
    assert table.sort("user_id", "track_id").equals(study[theirs].sort("user_id", "track_id"))


def test_the_papers_statistics(golden: Path, ours: Split) -> None:
    theirs = pl.read_csv(golden / "study/split/stats.csv")
    described = {row[0]: row[1:] for row in ours.describe().rows()}
    assert [described[part] for part in ("train", "validation_hot", "test_hot", "test_cold")] == [
        row[1:] for row in theirs.rows()
    ]
    assert ours.describe().columns[1:] == ["rows", "users", "items", "tracks_median", "tracks_min", "tracks_max",
                                     "plays_median", "plays_min", "plays_max"]  # fmt: skip


def test_statistics_of_an_empty_part_are_null(ours: Split) -> None:
    assert ours.describe().row(2) == ("validation_cold", 0, 0, 0, None, None, None, None, None, None)


# Any log

MOMENTS = [
    START - TICK, START, datetime(2018, 5, 5), VALIDATE - TICK, VALIDATE, VALIDATE + TICK, datetime(2019, 1, 9),
    T - TICK, T, T + TICK, datetime(2019, 2, 9), END - TICK, END,
]  # fmt: skip
PAIRS = list(product("abcdefgh", "stuvwxyz"))


def dense_log(seed: int) -> list[Row]:
    """Most pairs once, at any moment: both scenarios have pairs."""
    rng = np.random.default_rng(seed)
    chosen = [PAIRS[place] for place in rng.choice(len(PAIRS), 50)]
    return [(user, item, MOMENTS[rng.integers(len(MOMENTS))]) for user, item in chosen]


SPARSE_LOGS = st.lists(st.tuples(*map(st.sampled_from, ("abcdefgh", "stuvwxyz", MOMENTS))), min_size=1, max_size=60)
LOGS = SPARSE_LOGS | st.integers(0, 2**20).map(dense_log)


@settings(max_examples=30)
@given(LOGS, st.sampled_from(["corrected", "tamm2026"]))
@example(ROWS, "tamm2026")
@example([(user, item, T) for user, item in product("abcdefgh", "uvw")] + [(u, "u", START) for u in "abcdefgh"] +
         [("a", i, START) for i in "uvw"], "tamm2026")  # fmt: skip
def test_every_pair_is_in_exactly_the_part_of_its_definition(rows: list[Row], protocol: str) -> None:
    make, cuts = (by_time, CORRECTED) if protocol == "corrected" else (tamm2026, STUDY)
    parts = expected(rows, cuts, protocol)
    if parts is None:
        with pytest.raises(DataError, match=r"no play falls into the (train part|part of train before validation)"):
            make(log(rows), *cuts)
    else:
        assert contents(make(log(rows), *cuts)) == parts


@settings(max_examples=30)
@given(LOGS, st.integers(0, 99))
def test_the_order_of_rows_does_not_matter(rows: list[Row], seed: int) -> None:
    assume(expected(rows, CORRECTED, "corrected"))
    order = np.random.default_rng(seed).permutation(len(rows))
    shuffled = log([rows[place] for place in order])
    assert by_time(shuffled, *CORRECTED).digest == by_time(log(rows), *CORRECTED).digest
    assert by_items(shuffled, 0).digest == by_items(log(rows), 0).digest


@settings(max_examples=30)
@given(LOGS)
def test_nothing_from_test_at_on_changes_train_or_validation(rows: list[Row]) -> None:
    assume(expected(rows, CORRECTED, "corrected"))
    poisoned = [row for row in rows if row[2] < T] + [
        (user, item, when)
        for when in (T, datetime(2019, 2, 20), END)
        for user, item in [("0", "0"), ("a", "0"), ("0", "z"), ("a", "z"), ("e", "y"), ("zz", "zz")]
    ]
    names = ("fit", "validation_hot", "validation_cold", "train")
    clean, dirty = (contents(by_time(log(plays), *CORRECTED)) for plays in (rows, poisoned))
    assert [clean[name] for name in names] == [dirty[name] for name in names]
    trains = [contents(tamm2026(log(plays), *STUDY))["train"] for plays in (rows, poisoned)]
    assert trains[0] == trains[1]


def test_plays_given_as_counts_are_added_up() -> None:
    table = pl.DataFrame({"user": ["u"] * 3, "item": ["x"] * 3, "plays": [2, 3, 5],
                          "time": [START, datetime(2019, 1, 15), T]})  # fmt: skip
    parts = contents(by_time(make_events(table), *CORRECTED))
    assert parts["fit"] == {("u", "x"): (START, 2)}
    assert parts["train"] == {("u", "x"): (START, 5)}


@pytest.mark.parametrize("cuts", [(START, T, VALIDATE, END), (START, T, T, END), (END, VALIDATE, T, START)])
def test_times_that_do_not_ascend_are_refused(cuts: tuple[datetime, ...]) -> None:
    with pytest.raises(DataError, match="the split's times must ascend"):
        by_time(log(ROWS), *cuts)  # type: ignore[arg-type]


def test_a_log_without_time_cannot_be_split_by_it() -> None:
    events = make_events(pl.DataFrame({"user": ["u"], "item": ["t"]}))
    with pytest.raises(DataError, match=r"no time column.*item-holdout"):
        by_time(events, *CORRECTED)


# Folds


def test_a_fold_refuses_leaks() -> None:
    train = interactions([(0, 0), (1, 1)], 3, 4)
    nothing = interactions([], 3, 4)
    pairs = {
        "known user, new item": (0, 2),
        "known both": (0, 1),
        "new user": (2, 0),
        "new both": (2, 3),
        "seen": (0, 0),
    }
    scenarios = {name: interactions([pair], 3, 4) for name, pair in pairs.items()}
    for scenario, wrong in (
        ("hot", {"known user, new item": "items that are not in train", "new user": "users who are not in train",
                 "seen": "pairs that are in train"}),
        ("cold", {"known both": "items that are in train", "new both": "users who are not in train",
                  "seen": "items that are in train"}),
    ):  # fmt: skip
        for name, message in wrong.items():
            with pytest.raises(DataError, match=f"a {scenario} scenario holds {message}"):
                Fold(train, *(scenarios[name] if part == scenario else nothing for part in ("hot", "cold")))
    assert len(Fold(train, scenarios["known both"], scenarios["known user, new item"]).task("mixed").relevant) == 2


@pytest.mark.parametrize("cold_candidates", ["tested", "catalogue"])
def test_tasks_differ_only_in_candidates_and_relevant_pairs(cold_candidates: Candidates) -> None:
    drawn = fold(1)
    hot, cold, mixed = (drawn.task(scenario, cold_candidates) for scenario in SCENARIOS)
    in_train = {int(item) for item in drawn.train.item}
    new = {int(item) for item in drawn.cold.item} if cold_candidates == "tested" else set(range(40)) - in_train
    assert set(hot.candidates) == in_train
    assert set(cold.candidates) == new
    assert set(mixed.candidates) == in_train | new
    pairs = [set(zip(task.relevant.user, task.relevant.item, strict=True)) for task in (hot, cold, mixed)]
    assert pairs[2] == pairs[0] | pairs[1]
    assert len(pairs[2]) == len(pairs[0]) + len(pairs[1]) > 0
    for task in (hot, cold, mixed):
        assert set(task.relevant.item) <= set(task.candidates)
        assert task.users.tolist() == sorted({int(user) for user in task.relevant.user})


# Logs without time


@settings(max_examples=30)
@given(LOGS, st.integers(0, 99), st.sampled_from([(0.1, 0.2, 0.1), (0.3, 0.3, 0.3), (0.5, 0.1, 0.2)]))
def test_item_holdout_puts_every_pair_into_one_part(
    rows: list[Row], seed: int, shares: tuple[float, float, float]
) -> None:
    pairs = {(user, item) for user, item, _ in rows}
    try:
        split = by_items(log(rows), seed, *shares)
    except DataError as error:
        assert "no play falls into" in str(error)  # noqa: PT017 - either outcome is right
        return
    parts = contents(split)
    tested, validated = (parts[f"{name}_hot"].keys() | parts[f"{name}_cold"].keys() for name in ("test", "validation"))
    known = {user for user, _ in parts["train"]}
    fitted = {user for user, _ in parts["fit"]}
    assert not tested & parts["train"].keys()
    assert {pair for pair in pairs if pair[0] in known} <= tested | parts["train"].keys() <= pairs
    assert not validated & parts["fit"].keys()
    assert {pair for pair in parts["train"] if pair[0] in fitted} == validated | parts["fit"].keys()


def test_item_holdout_shares_and_seeds() -> None:
    rng = np.random.default_rng(0)
    rows = [
        (f"u{u}", f"i{i}", START)
        for u, i in zip(rng.integers(100, size=4000), rng.integers(200, size=4000), strict=True)
    ]
    split = by_items(log(rows), 0, cold=0.1, hot=0.2, validation=0.15)
    assert len(split.test.cold.items) == 20
    assert len(split.validation.cold.items) == 30
    warm = len({row[:2] for row in rows}) - len(split.test.cold) - len(split.validation.cold)
    assert len(split.test.hot) == round(0.2 * warm)
    assert len(split.validation.hot) == round(0.15 * warm)
    assert by_items(log(rows), 0, 0.1, 0.2, 0.15).digest == split.digest
    assert by_items(log(rows), 1, 0.1, 0.2, 0.15).digest != split.digest


def test_item_holdout_needs_no_time() -> None:
    table = pl.DataFrame({"user": ["a", "b"] * 20, "item": [f"t{n}" for n in range(40)], "plays": [3] * 40})
    split = by_items(make_events(table), 0)
    assert split.test.train.first is None
    assert set(split.test.train.plays) == {3}


# On disk


@pytest.fixture
def saved(tmp_path: Path) -> tuple[Split, Path]:
    split = by_time(log(ROWS), *CORRECTED)
    save_split(split, tmp_path / "split")
    return split, tmp_path / "split"


@pytest.mark.parametrize("timed", [True, False])
def test_a_saved_split_is_read_back_unchanged(tmp_path: Path, timed: bool) -> None:
    split = by_time(log(ROWS), *CORRECTED) if timed else by_items(make_events(pl.DataFrame(
        {"user": ["a", "b"] * 20, "item": [f"t{n}" for n in range(40)]})), 0)  # fmt: skip
    save_split(split, tmp_path)
    again = load_split(tmp_path)
    assert again.digest == split.digest
    assert contents(again) == contents(split)
    assert (again.protocol, again.users, again.items) == (split.protocol, split.users, split.items)


def test_the_digest_sees_every_value() -> None:
    digests = {by_time(log(ROWS), *CORRECTED).digest, tamm2026(log(ROWS), *STUDY).digest}
    for change in (ROWS[1:], [*ROWS, ("a", "x", VALIDATE)], [("a", "x", START + TICK), *ROWS[2:]],
                   [("A" + user, item, time) for user, item, time in ROWS],
                   [(user, "A" + item, time) for user, item, time in ROWS]):  # fmt: skip
        digests.add(by_time(log(change), *CORRECTED).digest)
    assert len(digests) == 7


def test_any_tampered_file_is_refused(saved: tuple[Split, Path]) -> None:
    split, folder = saved
    for path in sorted(folder.iterdir()):
        content = path.read_bytes()
        if path.suffix == ".parquet":
            table = pl.read_parquet(path)
            changed = table.with_columns(pl.col(table.columns[-1]).shift(1).fill_null(strategy="backward"))
            tampered = [
                table.slice(1),
                table.select(pl.first().alias("other")),
                changed[::-1] if len(changed) > 1 else None,
            ]
            for other in [table for table in tampered if table is not None]:
                other.write_parquet(path)
                with pytest.raises(DataError):
                    load_split(folder)
        for wrong in (b"", content[:-9], b"{}"):
            path.write_bytes(wrong)
            with pytest.raises(DataError, match="holds no readable split"):
                load_split(folder)
        path.unlink()
        with pytest.raises(DataError, match="holds no readable split"):
            load_split(folder)
        path.write_bytes(content)
    assert load_split(folder).digest == split.digest


def test_a_changed_count_and_a_row_out_of_range_are_refused(saved: tuple[Split, Path]) -> None:
    _, folder = saved
    path = folder / "test_hot.parquet"
    table = pl.read_parquet(path)
    table.with_columns(plays=pl.col("plays") + 1).write_parquet(path)
    with pytest.raises(DataError, match="was changed after it was written"):
        load_split(folder)
    table.with_columns(item=pl.col("item") + 1000).write_parquet(path)
    with pytest.raises(DataError, match="holds no readable split"):
        load_split(folder)
    table.write_parquet(path)
    (folder / "split.json").write_text(json.dumps({"protocol": "corrected"}))
    with pytest.raises(DataError, match="holds no readable split"):
        load_split(folder)


# Splits by artist

ARTISTS = np.array([0, 0, 1, 1, 2, -1])  # of the tracks 0 to 5; the last one is unknown
BEFORE, LATER = datetime(2018, 6, 1), datetime(2019, 2, 5)


def test_by_artist_leaves_out_new_tracks_by_artists_in_train() -> None:
    plays = [("u", "0", BEFORE), ("u", "2", BEFORE), ("v", "2", BEFORE), ("w", "4", BEFORE)]
    plays += [("u", track, LATER) for track in ("1", "3", "4", "5")]  # by a and b in train, c in train, unknown
    events = log(plays)  # the tracks 0 to 5, in this order
    assert set(contents(by_time(events, *CORRECTED))["test_cold"]) == {("u", "1"), ("u", "3"), ("u", "5")}
    split = by_time(events, *CORRECTED, ARTISTS)
    assert set(contents(split)["test_cold"]) == {("u", "5")}
    assert set(contents(split)["test_hot"]) == {("u", "4")}
    assert set(contents(tamm2026(events, *STUDY, ARTISTS))["test_cold"]) == {("u", "5")}


@settings(max_examples=30)
@given(st.integers(0, 2**20), st.integers(0, 99), st.sampled_from(["time", "items"]))
def test_no_artist_has_tracks_in_train_and_among_cold_tracks(world: int, seed: int, protocol: str) -> None:
    events = log(dense_log(world))
    artists = np.random.default_rng(seed).integers(-1, 4, len(events.items))
    try:
        split = by_time(events, *CORRECTED, artists) if protocol == "time" else by_items(events, seed, artists=artists)
    except DataError:
        return
    plain = by_time(events, *CORRECTED) if protocol == "time" else None
    for name, part in (("validation", split.validation), ("test", split.test)):
        known = {int(artists[item]) for item in part.train.items} - {-1}
        assert not known & {int(artists[item]) for item in part.cold.items}
        if plain is not None:  # nothing else changes
            whole = getattr(plain, name)
            assert part.train.digest == whole.train.digest
            kept = {(int(u), int(i)) for u, i in zip(part.cold.user, part.cold.item, strict=True)}
            expected_pairs = {
                (int(u), int(i))
                for u, i in zip(whole.cold.user, whole.cold.item, strict=True)
                if artists[i] < 0 or int(artists[i]) not in known
            }
            assert kept == expected_pairs


def test_item_holdout_by_artist_holds_out_a_share_of_artists() -> None:
    rng = np.random.default_rng(0)
    rows = [(f"u{user}", f"i{item:03}", START) for user, item in rng.integers([0, 0], [100, 200], (4000, 2))]
    artists = np.arange(200) // 4
    split = by_items(log(rows), 0, cold=0.1, artists=artists)
    assert len(set(artists[split.test.cold.items])) == 5  # a tenth of 50 artists
    assert len(split.test.cold.items) == 20


def test_a_split_by_artist_without_cold_tracks_is_refused_with_the_reason() -> None:
    events = log([("u", "0", BEFORE), ("v", "2", BEFORE), ("u", "2", LATER), ("u", "1", LATER), ("v", "3", LATER)])
    config = SplitConfig(test_at=T, by_artist=True)  # type: ignore[call-arg]
    with pytest.raises(DataError, match="no cold track is left: all new tracks are by artists in train"):
        make_split(events, config, np.array([0, 0, 1, 1]))
    with pytest.raises(DataError, match=r"needs the artist of each track\. Name an items table"):
        make_split(events, config, None)
    assert len(make_split(events, SplitConfig(test_at=T)).test.cold) == 2  # type: ignore[call-arg]
