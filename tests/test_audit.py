"""The audit passes clean runs and clean code, and every check of a run refuses the faults it claims to refuse."""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import small_world
from made import rewrite
from timbrec.api import audit_all, bench
from timbrec.audit import CHECKS, Finding, audit_code, audit_run, plain
from timbrec.audit.artists import artists_near
from timbrec.audit.audited import Audited
from timbrec.audit.cache import cached
from timbrec.audit.finding import not_checked
from timbrec.audit.inputs import inputs_unchanged
from timbrec.audit.intervals import intervals_recomputed
from timbrec.audit.lists import lists_clean
from timbrec.audit.profiles import profiles_own_rows
from timbrec.audit.relabelling import familywise, permutations, relabelled
from timbrec.audit.splits import faults_of, split_clean
from timbrec.audit.stored import StoredAudit, read_audit, write_audit
from timbrec.audit.tables import tables_recomputed
from timbrec.data.cuts import by_items, tamm2026
from timbrec.data.interactions import Interactions
from timbrec.data.split import Fold, Scenario, Task
from timbrec.data.vocabulary import Vocabulary
from timbrec.errors import DataError
from timbrec.metrics.hit_rate import HitRate
from timbrec.metrics.ndcg import NDCG
from timbrec.metrics.recall import Recall
from timbrec.ranking.outcomes import outcome
from timbrec.ranking.rank import TopK
from timbrec.recommenders import ease
from timbrec.results.figures import compute_figures
from timbrec.store import VectorSource
from timbrec.store.vectors import Vectors
from timbrec.study.cell import Cell
from timbrec.study.cells.ranking import lists_table
from timbrec.study.config import make_config
from timbrec.study.grid import run_study
from timbrec.study.inputs import Inputs
from timbrec.study.representation import Representation, Source, Step
from timbrec.study.runs import Run
from timbrec.worlds.planted import END, START, TEST_AT, PlantedWorld

ALL_METRICS = ["hitrate", "recall", "precision", "ndcg", "mrr", "map", "coverage", "popularity"]


def make_run(
    folder: Path,
    size: int = 200,
    artists: pl.Series | None = None,
    inputs: Inputs | None = None,
    **settings: object,
) -> tuple[Run, Inputs]:
    """A finished run on a small planted world with one encoder, or on other inputs."""
    if inputs is None:
        world = PlantedWorld(size, size)
        sources: dict[str, VectorSource] = {"encoder": Vectors(world.split.items.ids, world.vectors(0.7))}
        inputs = Inputs(world.events, world.events, world.split, sources, artists)
    config = make_config(
        {
            "name": "planted",
            "output": str(folder),
            "interactions": {"path": "none"},
            "encoders": {"encoder": {"vectors": "none"}},
            "split": {"test_at": "2019-02-01"},
            "recommenders": [{"use": "knn", "scale": "centre"}],
            "k": [10, 20],
            "metrics": ALL_METRICS,
            "primary": "ndcg@20",
        }
        | settings
    )
    run = Run.create(folder, {"config": config.model_dump(mode="json", exclude_none=True)}, inputs.split)
    run_study(config, inputs, run)
    return run, inputs


Clean = tuple[Run, Inputs]


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Clean:
    return make_run(tmp_path_factory.mktemp("clean") / "run")


def copied(clean: Clean, folder: Path) -> Run:
    """A copy of the clean run, to be changed."""
    shutil.copytree(clean[0].folder, folder / "run")
    return Run(folder / "run")


def by_name(findings: list[Finding]) -> dict[str, Finding]:
    return {finding.name: finding for finding in findings}


def test_a_clean_run_passes_every_check(clean: Clean) -> None:
    run, inputs = clean
    steps: list[tuple[str, int, int]] = []
    findings = audit_run(run, inputs, lambda *step: steps.append(step))
    assert [finding.name for finding in findings] == [check.name for check in CHECKS if check.of_run]
    assert [finding for finding in findings if not finding.passed] == []
    skipped = [finding.name for finding in findings if not finding.checked]
    assert skipped == [
        "tables-recomputed",
        "intervals-recomputed",
        "artists-near",
    ]  # there are neither tables nor artists
    stored = json.loads(json.dumps([asdict(finding) for finding in findings]))
    assert [Finding(**values) for values in stored] == findings
    assert audit_run(run, inputs) == findings
    assert steps[-1][1:] == (len(findings), len(findings))


@pytest.mark.slow
def test_clean_code_passes_every_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIMBREC_CODE_CHECKS", "on")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    findings = audit_code()
    assert [finding.name for finding in findings] == [check.name for check in CHECKS if not check.of_run]
    assert [finding for finding in findings if not finding.passed] == []
    assert [finding.name for finding in findings if not finding.checked] == ["encoder-contract"]
    started = time.perf_counter()
    assert audit_code() == findings
    assert time.perf_counter() - started < 3


def test_code_checks_that_are_off_are_shown_as_not_checked() -> None:
    assert {finding.mark for finding in audit_code()} == {"not checked"}


def test_an_audit_is_due_again_once_code_checks_are_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, _ = make_run(tmp_path / "run", size=60, seeds=[0])
    assert read_audit(run).due, "there is none"
    write_audit(run, audit_code())
    assert not read_audit(run).due
    monkeypatch.setenv("TIMBREC_CODE_CHECKS", "on")
    assert read_audit(run).due
    write_audit(run, [Finding(True, "0", "0", "no artists", checked=False), Finding(True, "0", "0")])
    assert not read_audit(run).due, "nothing was switched off"


def recording(answer: bool) -> tuple[list[int], Callable[[], Finding]]:
    """A check with this result, and the list of its calls."""
    calls: list[int] = []

    def check() -> Finding:
        calls.append(1)
        return Finding(answer, "1", "1")

    return calls, check


def test_passed_checks_are_cached_by_their_key_and_refused_ones_never(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    calls, check = recording(True)
    for key in ("a", "a", "b"):
        assert cached(key, check).passed
    assert len(calls) == 2
    monkeypatch.setattr("timbrec.audit.cache._installation", lambda: {"versions": {"torch": "another"}})
    cached("a", check)
    assert len(calls) == 3
    refused_calls, refuse = recording(False)
    cached("c", refuse)
    cached("c", refuse)
    assert len(refused_calls) == 2


def test_without_a_writable_cache_every_check_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    calls, check = recording(True)
    assert cached("a", check).passed
    assert cached("a", check).passed
    assert len(calls) == 2


def test_changed_inputs_are_refused_with_counts(clean: Clean) -> None:
    """Deleted rows, renamed users and changed vectors are named; checks that need the inputs do not run."""
    run, inputs = clean
    assert inputs_unchanged(Audited(run, inputs)).passed
    split = inputs.split
    fold = split.test
    shorter = replace(split, test=Fold(fold.train, fold.hot.where(np.arange(len(fold.hot)) > 4), fold.cold))
    finding = inputs_unchanged(Audited(run, replace(inputs, split=shorter)))
    assert not finding.passed
    assert f"test_hot: 5 of {len(fold.hot):,} pairs gone, 0 new" in finding.detail
    renamed = replace(split, users=Vocabulary(["nobody", *split.users.ids[1:]]))
    assert "users: 1 of 200 ids gone, 1 new" in inputs_unchanged(Audited(run, replace(inputs, split=renamed))).detail
    other: dict[str, VectorSource] = {"encoder": Vectors(split.items.ids, PlantedWorld(200, 200).vectors(0.1))}
    changed = replace(inputs, sources=other)
    findings = by_name(audit_run(run, changed))
    assert "encoder encoder: other vectors" in findings["inputs-unchanged"].detail
    assert not findings["inputs-unchanged"].passed
    assert findings["profiles-own-rows"].mark == "not checked"
    unread = inputs_unchanged(Audited(run, DataError("both test scenarios are empty")))
    assert (unread.passed, unread.figure) == (False, "cannot be read")
    assert unread.detail == "both test scenarios are empty"


def test_a_run_whose_log_can_no_longer_be_split_is_refused(tmp_path: Path) -> None:
    config = small_world.write(tmp_path, recommenders=["knn"], seeds=[0])
    bench(config)
    log = pl.read_csv(tmp_path / "plays.csv").sort("played_at")
    log.head(len(log) // 2).write_csv(tmp_path / "plays.csv")
    findings = {finding.name: finding for finding in audit_all(tmp_path / "run")}
    assert findings["inputs-unchanged"].mark == "REFUSED"
    assert re.search("are empty|falls into", findings["inputs-unchanged"].detail)
    assert findings["split-clean"].mark == "not checked"
    assert findings["lists-clean"].mark == "passed"


def test_an_audit_without_checks_is_not_passed() -> None:
    assert not StoredAudit().passed
    assert not StoredAudit((not_checked("a reason"),)).passed
    assert StoredAudit((not_checked("a reason"), Finding(True, "1", "1"))).passed


def test_every_named_defect_has_a_check() -> None:
    named = {number for check in CHECKS for number in check.defects.split(", ")}
    assert {"1", "2", "3", "4", "5", "7", "9", "11"} <= named
    assert len({check.name for check in CHECKS}) == len(CHECKS)


def test_a_run_without_cold_tracks_or_controls_says_that_there_is_nothing_to_check(
    clean: Clean, tmp_path: Path
) -> None:
    run, inputs = copied(clean, tmp_path), clean[1]
    run.plan([experiment for experiment in run.experiments if experiment.recommender == "popularity"])
    findings = by_name(audit_run(run, inputs))
    for name in ("controls-cold", "controls-hot"):
        assert findings[name].figure == "nothing to check"
    assert findings["profiles-own-rows"].figure == "off by 0"  # popularity's lists are computed again


def test_artist_means_are_no_control(tmp_path: Path) -> None:
    """With shuffled vectors artist-mean still reads artists: it is far above chance, correctly."""
    world = PlantedWorld(200, 200)
    artists = pl.Series([str(np.argmax(row)) for row in world._latents[world._original]])
    run, inputs = make_run(tmp_path, recommenders=["artist-mean"], artists=artists, items={"path": "none"})
    findings = by_name(audit_run(run, inputs))
    assert findings["controls-cold"].passed
    assert findings["controls-hot"].figure == "nothing to check"


# The null of the cold controls


def cold_task(seed: int = 0) -> tuple[Task, Interactions]:
    fold = PlantedWorld(200, 200, seed=seed).split.test
    return fold.task("cold"), fold.train


def test_relabelling_pairs_is_relabelling_lists() -> None:
    """Compare with the metrics of lists with exchanged items."""
    task, train = cold_task()
    rng = np.random.default_rng(0)
    items = np.array([rng.permutation(task.candidates)[:20] for _ in task.users])
    items[:5, 15:] = -1
    labels = permutations(task, 6, [1])
    rows = relabelled(items, task.users, task, [5, 20], labels)
    for labelling, row in zip(labels, rows, strict=True):
        new = np.full(train.n_items + 1, -1)
        new[task.candidates[labelling]] = task.candidates  # a pair's item looks up the rank of another item
        judged = outcome(new[items], task, train)
        metrics = [kind(k) for kind in (HitRate, Recall, NDCG) for k in (5, 20)]
        assert np.allclose(row, [metric.value(judged) for metric in metrics], atol=1e-12)


def test_the_null_is_centred_on_exact_chance() -> None:
    task, train = cold_task()
    items = np.tile(task.candidates[:20], (len(task.users), 1))
    null = relabelled(items, task.users, task, [5, 20], permutations(task, 2_000, [1]))
    judged = outcome(items, task, train)
    chance = [kind(k).chance(judged).mean() for kind in (HitRate, Recall, NDCG) for k in (5, 20)]
    assert (np.abs(null.mean(0) - chance) < 4.5 * null.std(0) / np.sqrt(2_000)).all()


@pytest.mark.parametrize("shared", [True, False])
def test_real_cold_test_of_the_study(shared: bool) -> None:
    """Known figures: chance .1497/.0340 at 20 and .3104/.0849 at 50.

    A single list for all users has HitRate@50 .31 with a standard deviation of .061, ten times that of lists per user.
    """
    if not (data := os.environ.get("TIMBREC_TEST_DATA")):
        pytest.skip("TIMBREC_TEST_DATA does not name the folder with the cold test of the study")
    table = pl.read_parquet(Path(data) / "data" / "m4a_onion" / "cold_test.pqt")
    users, items = Vocabulary.of(table["user_id"]), Vocabulary.of(table["track_id"])
    columns = {"user": users.rows(table["user_id"]), "item": items.rows(table["track_id"]), "plays": table["count"]}
    relevant = Interactions.of(pl.DataFrame(columns), len(users), len(items))
    assert (len(relevant), len(users), len(items)) == (23_269, 4_553, 589)
    task = Task("cold", np.arange(589), relevant)
    rng = np.random.default_rng(0)
    same = np.tile(rng.permutation(589)[:50], (len(users), 1))
    lists = same if shared else rng.permuted(np.tile(np.arange(589), (len(users), 1)), axis=1)[:, :50]
    null = relabelled(lists, task.users, task, [20, 50], permutations(task, 1_000, [0]))
    known = np.array([0.1497, 0.3104, 0.0340, 0.0849])
    assert (np.abs(null.mean(0)[:4] - known) < 4.5 * null.std(0)[:4] / np.sqrt(1_000) + 5e-5).all()
    assert null[:, 1].std() == pytest.approx(0.061 if shared else 0.0061, rel=0.1)


def test_the_familywise_p_value_is_uniform_for_correlated_tests() -> None:
    rng = np.random.default_rng(0)
    mixing = rng.standard_normal((3, 12))  # twelve highly correlated tests
    draws = rng.standard_normal((300, 3)) @ mixing
    null = rng.standard_normal((1_000, 3)) @ mixing
    p = np.array([familywise(row, null)[0] for row in draws])
    assert abs((p <= 0.1).mean() - 0.1) < 4 * np.sqrt(0.09 / 300)
    shifted = draws[0].copy()
    shifted[7] += 8 * null[:, 7].std()
    p_value, worst = familywise(shifted, null)
    assert p_value == pytest.approx(1 / 1_001)
    assert worst == 7


def test_constant_null_values_alarm_only_when_the_observed_value_differs() -> None:
    null = np.column_stack([np.ones(50), np.random.default_rng(0).standard_normal(50)])
    assert familywise(np.array([1.0, 0.0]), null)[0] > 0.5
    p_value, worst = familywise(np.array([0.9, 0.0]), null)
    assert p_value == pytest.approx(1 / 51)
    assert worst == 0


def test_controls_that_are_not_shuffled_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With 45 cold tracks, chance cannot explain unshuffled controls."""
    monkeypatch.setattr("timbrec.study.cells.ranking.vectors_of", lambda control, vectors, items, seed: vectors)
    run, inputs = make_run(tmp_path, size=300)
    findings = by_name(audit_run(run, inputs))
    assert not findings["controls-cold"].passed
    assert not findings["controls-hot"].passed


# The other checks of a run


def spoilt(run: Run, spoil: Callable[[TopK, Fold], None], scenario: Scenario = "hot") -> None:
    """Change the stored lists of a run's first KNN cell."""
    experiment = next(experiment for experiment in run.experiments if experiment.recommender == "knn")
    cell = run.read(experiment)
    stored = cell.lists[scenario]
    lists = TopK(np.array(stored.users), np.array(stored.items), np.array(stored.scores))
    spoil(lists, run.split.test)
    store(run, cell, scenario, lists)


def store(run: Run, cell: Cell, scenario: Scenario, lists: TopK) -> None:
    """Write a cell with other lists of a scenario."""
    test = run.split.test
    table = lists_table(lists, test.task(scenario), test.train)
    rewrite(run, replace(cell, records=cell.records | {scenario: table}))


def _seen(lists: TopK, fold: Fold) -> None:
    lists.items[0, 0] = fold.train.item[fold.train.starts[lists.users[0]]]


def _foreign(lists: TopK, fold: Fold) -> None:
    lists.items[0, 0] = fold.cold.item[0]


def _twice(lists: TopK, fold: Fold) -> None:
    lists.items[0, 1] = lists.items[0, 0]


def _rising(lists: TopK, fold: Fold) -> None:
    lists.scores[0] = lists.scores[0][::-1]


def _cut(lists: TopK, fold: Fold) -> None:
    lists.items[0, -1], lists.scores[0, -1] = -1, -np.inf


def _gap(lists: TopK, fold: Fold) -> None:
    lists.items[0, 3], lists.scores[0, 3] = -1, -np.inf


@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        (_seen, "an item the user has played"),
        (_foreign, "an item that is no candidate"),
        (_twice, "an item twice"),
        (_rising, "scores that rise"),
        (_cut, "a list cut short"),
        (_gap, "a gap"),
    ],
)
def test_faulty_lists_are_refused(
    clean: Clean, tmp_path: Path, spoil: Callable[[TopK, Fold], None], fault: str
) -> None:
    run = copied(clean, tmp_path)
    spoilt(run, spoil)
    finding = lists_clean(Audited(run, clean[1]))
    assert not finding.passed
    assert finding.detail.startswith(fault)


def test_lists_of_other_users_are_refused(clean: Clean, tmp_path: Path) -> None:
    run = copied(clean, tmp_path)
    experiment = next(experiment for experiment in run.experiments if experiment.recommender == "knn")
    cell = run.read(experiment)
    stored = cell.lists["hot"]
    shorter = TopK(stored.users[1:], stored.items[1:], stored.scores[1:])
    store(run, cell, "hot", shorter)
    assert not lists_clean(Audited(run, clean[1])).passed


def test_changed_tables_are_refused(clean: Clean, tmp_path: Path) -> None:
    run, inputs = copied(clean, tmp_path), clean[1]
    assert not tables_recomputed(Audited(run, inputs)).checked
    figures = compute_figures(run, ALL_METRICS, [10, 20], "ndcg@20")
    tables = {
        "results": figures.figures, "standings": figures.standings, "gains": figures.gains,
        "differences": figures.differences,
    }  # fmt: skip

    def finding(**changes: pl.DataFrame) -> Finding:
        for name, table in (tables | changes).items():
            table.write_csv(run.folder / f"{name}.csv")
        return tables_recomputed(Audited(run, inputs))

    assert finding().passed, finding()
    assert finding().checked
    for name, column in (
        ("results", "value"), ("standings", "value"), ("standings", "chance"), ("standings", "seeds"),
        ("gains", "lift"), ("gains", "difference"), ("standings", "low"), ("differences", "difference"),
    ):  # fmt: skip
        assert not finding(**{name: tables[name].with_columns(pl.col(column) * 2)}).passed, (name, column)
    half = (pl.col("high") - pl.col("low")) / 20
    narrow = tables["standings"].with_columns(low=pl.col("value") - half, high=pl.col("value") + half)
    assert "narrower than one over users alone" in finding(standings=narrow).detail
    assert "no row of" in finding(results=tables["results"].filter(pl.col("recommender") != "knn")).detail


@pytest.mark.parametrize("factor", [0.9, 1.1])
def test_intervals_of_another_width_are_refused(clean: Clean, tmp_path: Path, factor: float) -> None:
    run, inputs = copied(clean, tmp_path), clean[1]
    path = run.folder / "standings.csv"
    assert not intervals_recomputed(Audited(run, inputs)).checked
    standings = compute_figures(run, ["ndcg"], [20], "ndcg@20").standings
    standings.write_csv(path)
    finding = intervals_recomputed(Audited(run, inputs))
    assert finding.passed, finding
    assert finding.checked
    middle, half = (pl.col("high") + pl.col("low")) / 2, (pl.col("high") - pl.col("low")) / 2
    standings.with_columns(low=middle - factor * half, high=middle + factor * half).write_csv(path)
    assert not intervals_recomputed(Audited(run, inputs)).passed


def artist_inputs(order_of: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Inputs:
    """A world in which an artist's tracks sound alike, with the rows of vectors in another order of tracks."""
    world = PlantedWorld(200, 400)
    rng = np.random.default_rng(0)
    rows = rng.integers(40, size=400)
    vectors = rng.standard_normal((40, 32))[rows] + 1.5 * rng.standard_normal((400, 32))
    order = order_of(np.arange(400), world.split.test.train.item_users == 0)
    source = Vectors(world.split.items.ids, vectors[order].astype(np.float32))
    artists = pl.Series([f"artist {row}" for row in rows])
    return Inputs(world.events, world.events, world.split, {"encoder": source}, artists)


def _new_tracks_rolled(order: np.ndarray, new: np.ndarray) -> np.ndarray:
    moved = order.copy()
    moved[new] = np.roll(order[new], 1)
    return moved


@pytest.mark.parametrize(
    ("order_of", "mark"),
    [
        (lambda order, new: order, "passed"),
        (_new_tracks_rolled, "REFUSED"),
        (lambda order, new: np.roll(order, 1), "remark"),
    ],
)
def test_artists_reveal_rows_out_of_order(
    clean: Clean, tmp_path: Path, order_of: Callable[[np.ndarray, np.ndarray], np.ndarray], mark: str
) -> None:
    inputs = artist_inputs(order_of)
    run, _ = make_run(tmp_path, inputs=inputs, recommenders=["popularity"], items={"path": "none"})
    finding = artists_near(Audited(run, inputs))
    assert finding.mark == mark, finding


def test_a_split_that_leaks_is_refused() -> None:
    split = PlantedWorld(200, 200).split
    assert not any(faults_of(split).values())
    assert split.test.hot.first is not None
    early = replace(split.test.hot, first=split.test.hot.first - 60 * 24 * 3600 * 10**6)
    faults = faults_of(replace(split, test=replace(split.test, hot=early)))
    assert faults["test: pairs first played before train ends"] > 0
    assert faults["validation pairs first played with or after a test pair"] > 0
    same = faults_of(replace(split, validation=split.test))
    assert same["test pairs that are validation pairs too"] == len(split.test.hot) + len(split.test.cold)


def test_the_rules_of_a_fold_are_checked_without_the_fold_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fold raises an error for these faults; the audit does not rely on it."""
    monkeypatch.setattr(Fold, "__post_init__", lambda self: None)
    split = PlantedWorld(200, 200).split
    fold = split.test
    swapped = faults_of(replace(split, test=Fold(fold.train, fold.cold, fold.hot)))
    assert swapped["test: hot items that are not in train"] == len(fold.cold.items)
    assert swapped["test: cold items that are in train"] == len(fold.hot.items)
    leaky = faults_of(replace(split, test=Fold(fold.train, fold.train, fold.cold)))
    assert leaky["test: pairs that are also in train"] == len(fold.train)
    strangers = faults_of(replace(split, test=Fold(fold.train.where(fold.train.user > 50), fold.hot, fold.cold)))
    assert strangers["test: users without train"] > 0


@pytest.mark.parametrize(
    "settings",
    [
        {"profile": "raw"},
        {"similarity": "dot"},
        {"weights": "log"},
        {"scale": "standardise"},
        {"scale": "centre", "profile": "raw", "weights": "log", "similarity": "dot"},
    ],
)
def test_profiles_are_recomputed_for_every_setting(tmp_path: Path, settings: dict[str, str]) -> None:
    run, inputs = make_run(tmp_path, size=120, recommenders=[{"use": "knn"} | settings], seeds=[0])
    assert profiles_own_rows(Audited(run, inputs)).passed


def test_popularity_and_ease_are_recomputed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recommenders = ["popularity", {"use": "ease", "l2": 20}]
    run, inputs = make_run(tmp_path / "clean", size=120, recommenders=recommenders, seeds=[0])
    finding = profiles_own_rows(Audited(run, inputs))
    assert finding.passed, finding
    assert finding.detail.endswith("not recomputed: new-first, random")
    with monkeypatch.context() as patch:
        patch.setattr(ease, "_weights", lambda x, l2, weights=ease._weights: weights(x, l2 / 100))
        assert not profiles_own_rows(Audited(*make_run(tmp_path / "ease", inputs=inputs, recommenders=["ease"]))).passed
    plays = np.bincount(inputs.split.test.train.item, weights=inputs.split.test.train.plays, minlength=120)
    monkeypatch.setitem(inputs.split.test.train.__dict__, "item_users", plays.astype(np.int64))
    run, _ = make_run(tmp_path / "popularity", inputs=inputs, recommenders=["popularity"])
    assert not profiles_own_rows(Audited(run, inputs)).passed


def _shifted(lists: TopK, fold: Fold) -> None:
    lists.scores[:] += np.float32(1e-4)


@pytest.mark.parametrize("scenario", ["hot", "cold", "mixed"])
def test_scores_off_by_a_little_are_refused(clean: Clean, tmp_path: Path, scenario: Scenario) -> None:
    run = copied(clean, tmp_path)
    spoilt(run, _shifted, scenario)
    assert profiles_own_rows(Audited(clean[0], clean[1])).passed
    assert not profiles_own_rows(Audited(run, clean[1])).passed


def test_profiles_are_recomputed_for_artist_means_and_transformed_vectors(tmp_path: Path) -> None:
    artists = pl.Series([None if row % 7 == 0 else f"artist {row % 30}" for row in range(200)])
    settings: dict[str, Any] = {"recommenders": ["knn", "artist-mean"], "seeds": [0], "items": {"path": "none"}}
    run, inputs = make_run(tmp_path / "artists", artists=artists, **settings)
    assert profiles_own_rows(Audited(run, inputs)).passed
    source = Source(inputs.sources["encoder"].digest, "encoder")
    named = (Representation("smaller", (source, source), (Step("pca", {"dim": 5}, 1),)),)
    transformed = replace(inputs, representations=named)
    plain_run, _ = make_run(tmp_path / "transformed", inputs=transformed)
    finding = profiles_own_rows(Audited(plain_run, transformed))
    assert finding.passed
    assert finding.checked


def test_controls_that_leave_half_of_the_tracks_in_place_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With 30 cold tracks a test against chance misses this; recomputed scores do not."""

    def half(control: str, vectors: np.ndarray, items: np.ndarray, seed: int) -> np.ndarray:
        if control == "real":
            return vectors
        moved = np.random.default_rng(seed).permutation(len(vectors))[: len(vectors) // 2]
        mixed = vectors.copy()
        mixed[moved] = vectors[np.roll(moved, 1)]
        return mixed

    monkeypatch.setattr("timbrec.study.cells.ranking.vectors_of", half)
    assert not profiles_own_rows(Audited(*make_run(tmp_path))).passed


def test_item_holdout_on_a_dated_log_is_clean(tmp_path: Path) -> None:
    world = PlantedWorld(200, 200)
    split = by_items(world.events, seed=0)
    inputs = Inputs(world.events, world.events, split, {"encoder": Vectors(split.items.ids, world.vectors(0.7))})
    run, _ = make_run(tmp_path, inputs=inputs, split={"protocol": "item-holdout"})
    finding = split_clean(Audited(run, inputs))
    assert finding.passed, finding
    dropped = replace(split, test=replace(split.test, hot=split.test.hot.where(np.arange(len(split.test.hot)) > 0)))
    spoilt_run, _ = make_run(
        tmp_path / "dropped", inputs=replace(inputs, split=dropped), split={"protocol": "item-holdout"}
    )
    assert "pairs of the log that are in no part: 1" in split_clean(Audited(spoilt_run, inputs)).detail


def test_the_split_of_the_paper_is_clean(tmp_path: Path) -> None:
    world = PlantedWorld(200, 200)
    split = tamm2026(world.events, START, TEST_AT, END)
    inputs = Inputs(world.events, world.events, split, {"encoder": Vectors(split.items.ids, world.vectors(0.7))})
    times = {"protocol": "tamm2026", "test_at": "2019-02-01", "start": "2018-02-01"}
    run, _ = make_run(tmp_path, inputs=inputs, split=times)
    assert split_clean(Audited(run, inputs)).passed


def test_plays_after_a_parts_end_and_missing_pairs_are_refused(tmp_path: Path) -> None:
    """Train pairs that count the plays of the test month break no other rule."""
    world = PlantedWorld(200, 200)
    split = world.split
    train = split.test.train
    for name, spoilt_train, fault in (
        ("plays", replace(train, plays=train.plays + 1), "pairs with other plays than the log's"),
        ("missing", train.where(np.arange(len(train)) > 2), "pairs of the log that are missing: 3"),
    ):
        wrong = replace(split, test=Fold(spoilt_train, split.test.hot, split.test.cold))
        inputs = Inputs(world.events, world.events, wrong, {"encoder": Vectors(split.items.ids, world.vectors(0.7))})
        run, _ = make_run(tmp_path / name, inputs=inputs)
        finding = split_clean(Audited(run, inputs))
        assert not finding.passed
        assert fault in finding.detail


def test_plain_metrics_by_hand() -> None:
    """Items 0 to 4, of which 0 and 1 are played in train, by one and three users; relevant are 1, 3 and 4."""
    user = plain.User([0, 1, 2, 3], {1, 3, 4}, np.array([1, 3, 0, 0, 0]))
    log2 = np.log2
    known = {
        ("hitrate", 1): 0.0,
        ("hitrate", 2): 1.0,
        ("recall", 4): 2 / 3,
        ("precision", 4): 0.5,
        ("ndcg", 4): (1 / log2(3) + 1 / log2(5)) / (1 + 1 / log2(3) + 0.5),
        ("mrr", 4): 0.5,
        ("map", 4): (1 / 2 + 2 / 4) / 3,
        ("popularity", 4): (0.25 + 0.75) / 2,
        ("cold-share", 4): 0.5,
        ("cold-recall", 4): 0.5,
    }
    assert {name for name, _ in known} == set(plain.METRICS)
    for (name, k), value in known.items():
        assert plain.METRICS[name](user, k) == pytest.approx(value), name
    empty = np.zeros(0, np.int64)
    task = Task("hot", np.arange(5), Interactions(empty, empty, empty, None, 1, 5))
    assert plain.coverage(np.array([[0, 1, -1], [1, 2, 3]]), 2, task) == 3 / 5
