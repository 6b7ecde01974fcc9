"""The grid of a run: its plan, names of cells, running and resuming, runs on disk, controls."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import zipfile
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import polars as pl
import pytest

import small_world
from made import TableScorer, fold
from timbrec import catalog
from timbrec.api import bench, report
from timbrec.data.split import SCENARIOS, Split
from timbrec.data.vocabulary import Vocabulary
from timbrec.errors import CannotRankError, ConfigError, DataError
from timbrec.protocols import Content, Recommender, Workspace
from timbrec.ranking.rank import rank
from timbrec.recommenders import recommender
from timbrec.study import fitting
from timbrec.study.adding import with_encoders
from timbrec.study.cell import Cell, run_cell
from timbrec.study.config import make_config, read_config
from timbrec.study.controls import vectors_of
from timbrec.study.description import describe_run
from timbrec.study.engines.shared import finishing
from timbrec.study.estimate import Estimate, in_words
from timbrec.study.experiment import Experiment, read_experiments
from timbrec.study.fitting import answer
from timbrec.study.grid import run_study
from timbrec.study.identity import added, digest_of
from timbrec.study.inputs import load_inputs
from timbrec.study.plan import plan
from timbrec.study.representation import Representation, Source
from timbrec.study.runs import Run

RECOMMENDERS = ["knn", {"use": "knn", "label": "raw", "profile": "raw"}, "popularity"]
CHANGES = {"recommenders": RECOMMENDERS, "seeds": [3, 4]}
CELLS = 25  # 2 encoders x 2 recommenders x (1 + 2 controls x 2 seeds), Popularity once, two orders with both seeds


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A config on disk and its inputs."""
    config = read_config(small_world.write(tmp_path_factory.mktemp("world"), **CHANGES))
    return config, load_inputs(config)


def start(world: Any, folder: Path) -> Any:
    return Run.create(folder, {}, world[1].split)


def lists_of(run: Any) -> Any:
    """All lists of all cells, to the bit, and their facts without the running time."""
    cells = [(experiment.hash, run.read(experiment)) for experiment in run.experiments]
    return [
        (name, scenario, lists.items.tobytes(), lists.scores.tobytes(), cell.refused, cell.facts, cell.chosen)
        for name, cell in cells
        for scenario, lists in cell.lists.items()
    ]


@pytest.fixture(scope="module")
def whole(world: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A run without interruption."""
    run = start(world, tmp_path_factory.mktemp("whole"))
    assert run_study(world[0], world[1], run) == CELLS
    return run


# The plan


def test_the_plan_holds_every_combination_once_and_the_baselines(world: Any) -> None:
    planned = {
        (experiment.encoder, experiment.label, experiment.control, experiment.seed) for experiment in plan(*world)
    }
    assert planned == {
        *((encoder, label, "real", 3) for encoder in ("good", "poor") for label in ("knn", "raw")),
        *(
            (encoder, label, control, seed)
            for encoder in ("good", "poor")
            for label in ("knn", "raw")
            for control in ("shuffled", "gaussian")
            for seed in (3, 4)
        ),
        (None, "popularity", "real", 3),
        (None, "random", "real", 3),
        (None, "random", "real", 4),
        (None, "new-first", "real", 3),
        (None, "new-first", "real", 4),
    }
    assert len(plan(*world)) == len(planned)


def test_a_quick_budget_trains_briefly_with_one_seed_and_the_shuffled_control(world: Any) -> None:
    config, inputs = world
    changes = {"recommenders": ["hybrid", "elsa", "knn"], "budget": "quick"}
    cells = plan(make_config(config.model_dump() | changes), inputs)
    trained = [cell for cell in cells if cell.recommender in ("hybrid", "elsa")]
    assert {(cell.encoder, cell.recommender, cell.control, cell.seed) for cell in trained} == {
        *((encoder, "hybrid", control, 3) for encoder in ("good", "poor") for control in ("real", "shuffled")),
        (None, "elsa", "real", 3),
    }
    assert trained[0].settings["epochs"] < 100 < recommender("hybrid", {}).epochs  # type: ignore[attr-defined]
    assert len([cell for cell in cells if cell.label == "knn"]) == 2 * (1 + 2 * 2)
    assert sum("spread over seeds is not estimated" in warning for warning in load_inputs(
        make_config(config.model_dump() | changes)).warnings) == 1  # fmt: skip


def test_experiments_spell_out_every_setting(world: Any) -> None:
    raw = next(experiment for experiment in plan(*world) if experiment.label == "raw")
    assert raw.settings == {"profile": "raw", "similarity": "cosine", "weights": "equal", "scale": "standardise"}
    assert (raw.recommender, raw.depth, raw.cold_candidates) == ("knn", 21, "tested")  # one more than the largest k


def test_a_setting_that_does_not_exist_is_refused(world: Any) -> None:
    config, inputs = world
    with pytest.raises(ConfigError, match="has no setting 'profil'"):
        plan(
            config.model_copy(update={"recommenders": [type(config.recommenders[0])(use="knn", profil="raw")]}), inputs
        )


# Names of cells


E = Representation("e", (Source("v", "e"),))
OTHER = Representation("e", (Source("w", "e"),))
EXPERIMENT = Experiment(
    split="s", representation=E, control="real", artists=None, recommender="knn", settings={"scale": "none"},
    version=1, label="knn", seed=0, depth=50, cold_candidates="tested",
)  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [
        {"split": "t"}, {"representation": OTHER}, {"control": "shuffled"}, {"artists": "a"},
        {"recommender": "artist-mean"}, {"settings": {"scale": "centre"}}, {"version": 2}, {"seed": 1},
        {"depth": 20}, {"cold_candidates": "catalogue"},
    ],
    ids=lambda change: next(iter(change)),
)  # fmt: skip
def test_every_field_that_decides_numbers_changes_the_hash(change: Any) -> None:
    assert replace(EXPERIMENT, **change).hash != EXPERIMENT.hash
    assert len(replace(EXPERIMENT, **change).hash) == 16


def test_names_for_readers_do_not_change_the_hash() -> None:
    other = Representation("other", (Source("v", "other", layer=3, pool="max", windows="all"),))
    assert replace(EXPERIMENT, label="other", representation=other).hash == EXPERIMENT.hash
    stored = json.loads(json.dumps([asdict(EXPERIMENT)]))
    assert [experiment.hash for experiment in read_experiments(stored, "plan.json")] == [EXPERIMENT.hash]


def test_a_field_that_this_version_does_not_know_is_refused() -> None:
    stored = json.loads(json.dumps(asdict(EXPERIMENT)))
    for record in (stored | {"colour": "red"}, stored | {"representation": stored["representation"] | {"pitch": 1}}):
        with pytest.raises(
            DataError, match=r"plan.json has an experiment that this version cannot read: .*(colour|pitch)"
        ):
            read_experiments([record], "plan.json")


def test_a_field_added_later_keeps_the_hash_at_its_neutral_value() -> None:
    @dataclass(frozen=True)
    class Later(Experiment):
        tempo: str = added(neutral="as before")

    facts = {part.name: getattr(EXPERIMENT, part.name) for part in fields(EXPERIMENT)}
    assert Later(**facts).hash == EXPERIMENT.hash
    assert Later(**facts, tempo="twice").hash != EXPERIMENT.hash


def test_a_changed_default_of_a_setting_changes_the_hash() -> None:
    @dataclass(frozen=True)
    class Before:
        width: int = 10

    @dataclass(frozen=True)
    class After:
        width: int = 20

    before, after = (replace(EXPERIMENT, settings=asdict(settings)) for settings in (Before(), After()))
    assert before.hash != after.hash
    assert digest_of(before) == digest_of(replace(before, settings={"width": 10}))


def test_changed_data_change_the_hashes(world: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config, inputs = world
    before = {experiment.hash for experiment in plan(config, inputs)}

    def hashes(change: Any) -> Any:
        path = small_world.write(tmp_path, **CHANGES)
        change(tmp_path)
        other = read_config(path)
        return {experiment.hash for experiment in plan(other, load_inputs(other))}

    def nothing(folder: Path) -> None:
        pass

    def one_vector(folder: Path) -> None:
        vectors = np.load(folder / "good.npy")
        vectors[0, 0] += 1e-3
        np.save(folder / "good.npy", vectors)

    def one_play(folder: Path) -> None:
        lines = (folder / "plays.csv").read_text().splitlines()
        (folder / "plays.csv").write_text("\n".join([*lines, lines[1]]))

    def one_artist(folder: Path) -> None:
        table = pl.read_csv(folder / "tracks.csv")
        table.with_columns(artist=pl.when(pl.row_index() == 0).then(pl.lit("?")).otherwise("artist")).write_csv(
            folder / "tracks.csv"
        )

    assert hashes(nothing) == before
    of_poor = {experiment.hash for experiment in plan(config, inputs) if experiment.encoder != "good"}
    assert hashes(one_vector) & before == of_poor
    assert not hashes(one_play) & before
    assert not hashes(one_artist) & before
    monkeypatch.setattr(catalog.load("recommenders", "popularity"), "version", 99)
    assert len(before - hashes(nothing)) == 1


# Running


def test_a_finished_cell_never_runs_twice(world: Any, whole: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {path: path.stat().st_mtime_ns for path in whole.folder.rglob("cells/*/*")}
    monkeypatch.setattr(finishing, "run_cell", None)
    assert run_study(world[0], world[1], start(world, whole.folder)) == 0
    assert {path: path.stat().st_mtime_ns for path in whole.folder.rglob("cells/*/*")} == before


def test_only_new_cells_run(world: Any, whole: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(whole.folder, tmp_path, dirs_exist_ok=True)
    ran: list[Experiment] = []

    def counted(experiment: Experiment, *rest: Any) -> Cell:
        ran.append(experiment)
        return run_cell(experiment, *rest)

    monkeypatch.setattr(finishing, "run_cell", counted)
    config, inputs = world
    more = config.model_copy(update={"seeds": [3, 4, 5]})
    assert run_study(more, inputs, start(world, tmp_path)) == len(ran) == 10
    assert {experiment.seed for experiment in ran} == {5}


def test_two_labels_of_the_same_settings_run_once(world: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []

    def counted(experiment: Experiment, *rest: Any) -> Cell:
        ran.append(experiment.hash)
        return run_cell(experiment, *rest)

    monkeypatch.setattr(finishing, "run_cell", counted)
    config, inputs = world
    twice = make_config(
        config.model_dump() | {"recommenders": ["knn", {"use": "knn", "label": "the same"}], "seeds": [0]}
    )
    run = start(world, tmp_path)
    run_study(twice, inputs, run)
    assert len(ran) == len(set(ran)) == 9
    assert all(run.has(experiment) for experiment in run.experiments)
    assert len(run.experiments) == 15


def test_progress_counts_up_to_the_end(world: Any, tmp_path: Path) -> None:
    reports = []
    config, inputs = world
    run_study(config, inputs, start(world, tmp_path), lambda *step: reports.append(step))
    assert [done for _, done, _ in reports] == list(range(CELLS + 1))
    assert {total for _, _, total in reports} == {CELLS}
    assert reports[-1][0] == "cells"
    assert any("poor gaussian raw (seed 4)" in step for step, _, _ in reports)


def test_an_interrupted_run_resumes(world: Any, whole: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def breaking(*arguments: Any, **named: Any) -> Any:
        calls.append(1)
        if len(calls) == 20:  # within a cell: some of its scenarios are ranked
            raise KeyboardInterrupt
        return rank(*arguments, **named)

    monkeypatch.setattr(fitting, "rank", breaking)
    run = start(world, tmp_path)
    with pytest.raises(KeyboardInterrupt):
        run_study(world[0], world[1], run)
    finished = sum(run.has(experiment) for experiment in run.experiments)
    assert 0 < finished < CELLS
    assert run_study(world[0], world[1], start(world, tmp_path)) == CELLS - finished
    assert lists_of(Run(tmp_path)) == lists_of(whole)


def test_a_cell_without_enough_memory_fails_and_the_others_run(
    world: Any, whole: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaking(experiment: Any, *arguments: Any) -> Any:
        if experiment.label == "raw" and experiment.encoder == "good" and experiment.is_real:
            raise MemoryError
        return run_cell(experiment, *arguments)

    monkeypatch.setattr(finishing, "run_cell", breaking)
    run = start(world, tmp_path)
    run_study(world[0], world[1], run)
    assert [(experiment.encoder, experiment.label) for experiment in run.missing] == [("good", "raw")]
    assert "not enough memory" in run.failure(run.missing[0])
    monkeypatch.undo()
    assert run_study(world[0], world[1], start(world, tmp_path)) == 1  # it is tried again
    assert lists_of(Run(tmp_path)) == lists_of(whole)
    assert not list((tmp_path / "failed").iterdir())


KILLED = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from timbrec.study import fitting, runs
from timbrec.study.grid import run_study
from timbrec.study.config import read_config
from timbrec.study.inputs import load_inputs

def until(module, name, calls):
    counted, original = [], getattr(module, name)
    def dying(*arguments, **named):
        counted.append(1)
        if len(counted) == calls:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*arguments, **named)
    setattr(module, name, dying)

until({"rank": fitting, "checksum": runs}[sys.argv[4]], sys.argv[4], 20)
config = read_config(Path(sys.argv[2]))
inputs = load_inputs(config)
run_study(config, inputs, runs.Run.create(Path(sys.argv[3]), {}, inputs.split))
"""


@pytest.mark.parametrize("where", ["rank", "checksum"])  # while it computes, and while it writes a cell
def test_a_killed_run_resumes(world: Any, whole: Any, tmp_path: Path, where: Any) -> None:
    config, _ = world
    command = [
        sys.executable,
        "-c",
        KILLED,
        str(Path(__file__).parent),
        str(config.base / "config.yaml"),
        str(tmp_path),
    ]
    killed = subprocess.run([*command, where], check=False, capture_output=True, env=os.environ)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    run = Run(tmp_path)
    left = [path for path in (tmp_path / "cells").iterdir() if path.name.startswith(".")]
    assert len(left) == (where == "checksum")
    finished = sum(run.has(experiment) for experiment in run.experiments)
    assert 0 < finished < CELLS
    assert run_study(world[0], world[1], start(world, tmp_path)) == CELLS - finished
    assert lists_of(Run(tmp_path)) == lists_of(whole)
    assert not [path for path in (tmp_path / "cells").iterdir() if path.name.startswith(".")]


# Runs on disk


def test_cells_are_read_back_unchanged(world: Any, tmp_path: Path) -> None:
    config, inputs = world
    run = start(world, tmp_path)
    content = Content(inputs.vectors(inputs.representation("good")), inputs.artist_rows)
    for experiment in (
        plan(config, inputs)[0],
        next(experiment for experiment in plan(config, inputs) if experiment.label == "popularity"),
    ):
        cell = run_cell(experiment, inputs.split, content)
        run.write(cell)
        again = run.read(experiment)
        for name in ("experiment", "refused", "facts", "chosen", "seconds", "versions"):
            assert getattr(again, name) == getattr(cell, name)
        assert again.lists.keys() == cell.lists.keys()
        assert set(again.lists) | set(again.refused) == set(SCENARIOS)
        for scenario in again.lists:
            for name in ("users", "items", "scores"):
                stored, computed = getattr(again.lists[scenario], name), getattr(cell.lists[scenario], name)
                assert stored.dtype == computed.dtype
                assert np.array_equal(stored, computed)
    assert set(run.read(experiment, ["hot"]).lists) == {"hot"}


def test_damaged_cells_are_named(world: Any, tmp_path: Path) -> None:
    _, inputs = world
    run, experiment = start(world, tmp_path), plan(*world)[0]
    run.write(run_cell(experiment, inputs.split, Content(inputs.vectors(inputs.representation("good")))))
    folder = tmp_path / "cells" / experiment.hash
    (folder / "hot.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match=rf"{experiment.hash} is damaged.*Delete it and run"):
        run.read(experiment)
    (folder / "hot.parquet").unlink()
    with pytest.raises(DataError, match="is damaged"):
        run.read(experiment)
    other = plan(*world)[1]
    run.write(run_cell(other, inputs.split, Content(inputs.vectors(inputs.representation("good")))))
    shutil.copy(tmp_path / "cells" / other.hash / "hot.parquet", folder / "hot.parquet")  # lists of another cell
    with pytest.raises(DataError, match=r"hot\.parquet was changed after it was written"):
        run.read(experiment)
    shutil.copytree(tmp_path / "cells" / other.hash, folder, dirs_exist_ok=True)  # all of another cell
    with pytest.raises(DataError, match="its name is not the hash of its experiment"):
        run.read(experiment)
    (folder / "cell.json").unlink()
    assert not run.has(experiment)
    with pytest.raises(DataError, match="is not a finished or interrupted run"):
        Run(tmp_path / "nowhere")


def test_the_plan_and_the_split_are_kept(world: Any, whole: Any) -> None:
    _, inputs = world
    again = Run(whole.folder)
    assert again.split.digest == inputs.split.digest
    assert [experiment.hash for experiment in again.experiments][:5] == [
        experiment.hash for experiment in whole.experiments
    ][:5]


# Ranking with scorers


@pytest.fixture
def split() -> Any:
    test = fold(2)
    ids = [Vocabulary([f"{kind}{row:02}" for row in range(n)]) for kind, n in (("u", 30), ("i", 40))]
    return Split("test", test, test, *ids)


def test_mixed_lists_of_a_scorer_that_cannot_rank_cold_items_hold_warm_items_only(split: Any) -> None:
    table = np.random.default_rng(0).random((30, 40))
    lists = {
        able: answer(TableScorer(table, able), split.test.task("mixed"), split.test, 40, 0).items
        for able in (True, False)
    }
    cold = split.test.train.item_users == 0
    assert cold[lists[True]][lists[True] >= 0].any()
    assert not cold[lists[False]][lists[False] >= 0].any()
    with pytest.raises(CannotRankError):
        answer(TableScorer(table, can_rank_cold=False), split.test.task("cold"), split.test, 40, 0)


def test_an_empty_scenario_cannot_be_ranked(split: Any) -> None:
    empty = replace(split.test, cold=split.test.cold.where(np.zeros(len(split.test.cold), bool)))
    with pytest.raises(CannotRankError, match="the cold scenario is empty"):
        answer(TableScorer(np.zeros((30, 40))), empty.task("cold"), empty, 5, 0)


# Validation


@dataclass(frozen=True)
class FitCall:
    """The arguments of a fit."""

    epochs: int
    train: str
    validation: tuple[str, str, str] | None
    draw: int


CALLS: list[FitCall] = []


@dataclass(frozen=True, eq=False)
class ToyScorer(TableScorer):
    stopped: dict[str, Any] = field(default_factory=dict)

    @property
    def chosen(self) -> Any:
        return self.stopped


@dataclass(frozen=True)
class Toy(Recommender):
    """Stops after four epochs when validated, and records the arguments of its fits."""

    validates: ClassVar[bool] = True
    epochs: int = 9

    def fit(self, train: Any, content: Any, validation: Any, rng: Any, workspace: Workspace = Workspace()) -> ToyScorer:
        parts = None if validation is None else tuple(
            part.digest for part in (validation.train, validation.hot, validation.cold)
        )  # fmt: skip
        CALLS.append(FitCall(self.epochs, train.digest, parts, int(rng.integers(2**60))))
        table = np.full((train.n_users, train.n_items), self.epochs)
        return ToyScorer(table, stopped={} if validation is None else {"epochs": 4})


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setitem(catalog.CATALOG["recommenders"], "toy", catalog.Part("test_study:Toy"))
    CALLS.clear()
    return replace(EXPERIMENT, recommender="toy", settings={"epochs": 9}, seed=7)


def test_validation_chooses_then_all_of_train_is_fitted_with_the_choice(world: Any, toy: Any) -> None:
    _, inputs = world
    fit, test = inputs.split.validation, inputs.split.test
    cell = run_cell(toy, inputs.split, Content(inputs.vectors(inputs.representation("good"))))
    choosing = (fit.train.digest, fit.hot.digest, fit.cold.digest)
    assert [(call.epochs, call.train, call.validation) for call in CALLS] == [
        (9, fit.train.digest, choosing),
        (4, test.train.digest, None),
    ]
    assert CALLS[0].draw == CALLS[1].draw  # both start from the same seed
    assert cell.chosen == {"epochs": 4}
    assert (cell.lists["hot"].scores[cell.lists["hot"].items >= 0] == 4).all()


def test_where_both_folds_share_their_train_part_the_validated_scorer_serves(world: Any, toy: Any) -> None:
    _, inputs = world
    split = replace(inputs.split, validation=replace(inputs.split.test, hot=inputs.split.validation.hot.where(
        np.zeros(len(inputs.split.validation.hot), bool))))  # fmt: skip
    cell = run_cell(toy, split, Content(inputs.vectors(inputs.representation("good"))))
    assert [(call.epochs, call.train) for call in CALLS] == [(9, split.test.train.digest)]
    assert cell.chosen == {"epochs": 4}


@pytest.mark.parametrize("poison", ["test plays dropped", "test plays added"])
def test_nothing_from_the_test_on_reaches_a_fit_a_choice_or_a_control(
    world: Any, toy: Any, tmp_path: Path, poison: Any
) -> None:
    config, clean = world
    path = small_world.write(tmp_path, **CHANGES)
    table = pl.read_csv(tmp_path / "plays.csv", try_parse_dates=True)
    before, after = (table.filter(keep) for keep in (pl.col("played_at") < datetime(2019, 2, 1),
                                                     pl.col("played_at") >= datetime(2019, 2, 1)))  # fmt: skip
    assert len(after) > 100
    if poison == "test plays dropped":
        after = after.filter(pl.int_range(pl.len()) % 3 == 0)
    else:
        strange = after.with_columns(user="0" + pl.col("user"), track=pl.col("track").reverse())
        after = pl.concat([after, after, strange, after.with_columns(track="0" + pl.col("track"))])
    pl.concat([after, before]).write_csv(tmp_path / "plays.csv")
    dirty = load_inputs(read_config(path))
    assert dirty.split.test.hot.digest != clean.split.test.hot.digest
    assert dirty.catalogue == clean.catalogue
    calls = []
    for inputs in (clean, dirty):
        CALLS.clear()
        run_cell(toy, inputs.split, Content(inputs.vectors(inputs.representation("good"))))
        calls.append(list(CALLS))
        for control in ("real", "shuffled", "gaussian"):
            first, second = (
                vectors_of(control, data.vectors(data.representation("poor")), data.split.test.train.items, 1)
                for data in (clean, inputs)
            )
            assert np.array_equal(first, second)
    assert calls[0] == calls[1]
    settings = [
        [(experiment.label, experiment.settings, experiment.seed) for experiment in plan(config, data)]
        for data in (clean, dirty)
    ]
    assert settings[0] == settings[1]


def test_a_cell_knows_its_experiment(world: Any) -> None:
    _, inputs = world
    cell = run_cell(EXPERIMENT, inputs.split, Content(inputs.vectors(inputs.representation("good"))))
    assert isinstance(cell, Cell)
    assert cell.experiment is EXPERIMENT
    assert cell.seconds > 0
    assert cell.facts == {"zero vectors": 0.0, "zero profiles": 0.0}


def test_a_run_names_its_versions_and_its_commit(world: Any) -> None:
    stored = describe_run(*world)["versions"]
    assert {"timbrec", "code", "python", "numpy", "polars", "torch", "device"} <= stored.keys()
    git = subprocess.run(["git", "rev-parse", "HEAD"], cwd=Path(__file__).parent, capture_output=True, text=True)
    if git.returncode == 0:
        assert stored["git commit"].rstrip("+") == git.stdout.strip()


# Runs of format 1


@pytest.fixture
def old_run(tmp_path: Path) -> Path:
    """A finished run that a version before format 2 stored, with the results.csv it wrote."""
    with zipfile.ZipFile(Path(__file__).parent / "data" / "run_format_1.zip") as archive:
        archive.extractall(tmp_path)
    return tmp_path


def test_a_run_of_format_1_is_reported_with_its_figures(old_run: Any) -> None:
    written = pl.read_csv(old_run / "results.csv")
    figures = report(Run(old_run)).figures.filter(pl.col("seed").is_null() == False)  # noqa: E712
    for row in written.drop_nulls("value").iter_rows(named=True):
        for control in ("real", "shuffled", "gaussian"):
            old = row["value" if control == "real" else control]
            new = figures.filter(
                pl.col("encoder").eq_missing(pl.lit(row["encoder"])),
                recommender=row["recommender"], control=control, scenario=row["half"], metric=row["metric"],
            )["value"].mean()  # fmt: skip
            assert new == (old if old is None else pytest.approx(old, abs=1e-12))


def test_a_run_of_format_1_is_not_resumed(old_run: Any, world: Any) -> None:
    before = {path: path.read_bytes() for path in old_run.rglob("*") if path.is_file()}
    with pytest.raises(DataError, match=r"holds a run of format 1 .*timbrec report.*Choose another `output`"):
        Run.create(old_run, {}, world[1].split)
    assert {path: path.read_bytes() for path in old_run.rglob("*") if path.is_file()} == before


# Other settings in the same folder


def described(config: Any) -> Any:
    return {"config": config.model_dump(mode="json"), "created": "2026-01-02T03:04:05+00:00", "version": "0"}


def test_a_run_with_other_settings_is_kept_and_readable(world: Any, whole: Any, tmp_path: Path) -> None:
    config, inputs = world
    shutil.copytree(whole.folder, tmp_path, dirs_exist_ok=True)
    first = Run.create(tmp_path, described(config), inputs.split)
    assert first.kept is not None  # the copied run says nothing about its config
    assert Run.create(tmp_path, described(config), inputs.split).kept is None
    run_study(config, inputs, first)
    other = config.model_copy(update={"k": [5], "primary": "ndcg@5"})
    second = Run.create(tmp_path, described(other), inputs.split)
    place = tmp_path / "earlier" / "2026-01-02T030405Z"
    assert second.kept == f"{tmp_path} held a run with other settings (k, primary); it is kept as {place}"
    kept = Run(place)
    assert lists_of(kept) == lists_of(whole)
    assert not (tmp_path / "plan.json").exists()
    run_study(other, inputs, second)
    assert lists_of(kept) == lists_of(whole)
    assert {experiment.depth for experiment in second.experiments} == {6}


def test_a_run_on_other_data_is_kept(world: Any, whole: Any, tmp_path: Path) -> None:
    config, inputs = world
    Run.create(tmp_path, described(config), inputs.split)
    test = inputs.split.test
    smaller = replace(inputs.split, test=replace(test, cold=test.cold.where(np.arange(len(test.cold)) > 0)))
    assert "(the data or the split)" in str(Run.create(tmp_path, described(config), smaller).kept)


# Part of a grid, and several cells at once


def test_only_some_cells_run(world: Any, tmp_path: Path) -> None:
    config, inputs = world
    run = start(world, tmp_path)
    assert run_study(config, inputs, run, only=["raw"]) == 10
    assert {experiment.label for experiment in run.finished} == {"raw"}
    assert run_study(config, inputs, run, only=["good"]) == 5
    assert len(run.missing) == CELLS - 15
    with pytest.raises(ConfigError, match=r"no encoder, representation or recommender 'rwa' .*Did you mean 'raw'"):
        run_study(config, inputs, run, only=["rwa"])


@pytest.mark.slow
def test_several_processes_give_the_cells_of_a_single_process(world: Any, tmp_path: Path) -> None:
    config, inputs = world
    small = {"use": "hybrid", "epochs": 2, "width": 8, "batch": 64}
    trained = make_config(config.model_dump() | {"recommenders": [small, "knn"], "seeds": [3]})
    runs = [start(world, tmp_path / name) for name in ("one", "several")]
    for run, jobs in zip(runs, (1, 2), strict=True):
        run_study(trained, inputs, run, jobs=jobs)
    assert not runs[1].missing
    for experiment in runs[0].experiments:
        expected, lists = (run.read(experiment).lists for run in runs)
        for scenario in expected:
            np.testing.assert_allclose(lists[scenario].scores, expected[scenario].scores, atol=1e-5)
    assert not list((tmp_path / "several" / "training").rglob("checkpoint*"))


def test_the_time_left_sums_the_unfinished_cells(world: Any) -> None:
    config, inputs = world
    experiments = plan(config, inputs)
    estimate = Estimate()
    assert estimate.left(experiments) is None
    knn, raw = (next(item for item in experiments if item.label == label) for label in ("knn", "raw"))
    estimate.add(knn, 10.0)
    estimate.add(knn, 20.0)
    assert estimate.left([knn, knn, knn]) == 45.0
    assert estimate.left([raw]) == 15.0  # unknown: the mean of the others
    estimate.add(raw, 1.0)
    assert estimate.left([raw, knn], jobs=2) == 8.0
    assert [in_words(seconds) for seconds in (0.2, 59.0, 61.0, 5400.0)] == ["1 s", "59 s", "1 min", "1.5 h"]


# An encoder added to a run


@pytest.mark.slow
def test_an_added_encoder_keeps_finished_cells_where_the_catalogue_stays(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = read_config(small_world.write(tmp_path, recommenders=["knn"], seeds=[0]))
    first = bench(config).run
    finished = len(first.finished)
    before = {path: path.stat().st_mtime_ns for path in first.folder.glob("cells/*/*")}
    np.save(tmp_path / "mine.npy", np.load(tmp_path / "good.npy")[:, :4])
    ids = (tmp_path / "ids.txt").read_text().split()
    pl.DataFrame({"id": ids, "vector": np.load(tmp_path / "mine.npy")}).write_parquet(tmp_path / "mine.parquet")
    added = bench(with_encoders(config, {"mine": "mine.parquet"}, tmp_path)).run
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert len(added.finished) == finished + 3, "real vectors and two controls"
    assert "held a run with other settings (encoders, reference); it is kept as" in caplog.text
    assert "catalogue" not in caplog.text
    assert pl.read_csv(added.folder / "reference.csv")["reference"].unique().to_list() == ["mine"]
    pl.read_parquet(tmp_path / "mine.parquet").head(150).write_parquet(tmp_path / "short.parquet")
    short = bench(with_encoders(config, {"short": "short.parquet"}, tmp_path)).run
    assert len(short.split.items) == 150
    assert "The catalogue shrinks from 200 to 150 tracks: every cell runs again" in caplog.text


@pytest.mark.parametrize(
    ("sources", "message"),
    [
        ({"good": "x.npy"}, "already has an encoder 'good'"),
        ({"mfcc": "mfcc"}, "mfcc: the config does not say which audio to encode: none of its encoders names audio"),
        ({"own": "mine.py:Mine"}, "own: the config does not say which audio to encode"),
    ],
)
def test_an_encoder_that_cannot_be_added(world: Any, tmp_path: Path, sources: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        with_encoders(world[0], sources, tmp_path)
