"""Poor data and broken trainings through the whole benchmark: figures that are numbers, or one clear error."""

from __future__ import annotations

import re
import shutil
from dataclasses import fields
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from timbrec import bench, catalog
from timbrec.recommenders.contrastive import ContrastiveModel
from timbrec.recommenders.hybrid import HybridModel
from timbrec.study.runs import Run

T = datetime(2019, 2, 1)
SMALL = {
    "epochs": 2, "batch": 8, "width": 4, "factors": 4, "elsa_epochs": 2, "feed_forward": 8, "length": 8, "samples": 8,
}  # fmt: skip
TRAINED = ["shallow", "contrastive", "hybrid", "bert4rec", "elsa", "ease"]


def small(name: str, **changes: Any) -> dict[str, Any]:
    known = {field.name for field in fields(catalog.load("recommenders", name))}
    return {"use": name} | {key: value for key, value in SMALL.items() if key in known} | changes


def write(
    folder: Path, plays: list[tuple[str, str, int]], vectors: np.ndarray, recommenders: list[Any], **changes: Any
) -> dict[str, Any]:
    """A config for plays (user, track, day from T); track i of the vectors is called t and its number."""
    rows = [(user, track, T + timedelta(days=day, seconds=place)) for place, (user, track, day) in enumerate(plays)]
    pl.DataFrame(rows, schema=["user_id", "track_id", "timestamp"], orient="row").write_csv(folder / "plays.csv")
    np.save(folder / "vectors.npy", vectors.astype(np.float32))
    (folder / "ids.txt").write_text("".join(f"t{row}\n" for row in range(len(vectors))))
    return {
        "name": "poor", "base": folder, "output": "run", "interactions": {"path": "plays.csv"}, "seeds": [0],
        "encoders": {"mine": {"vectors": "vectors.npy", "ids": "ids.txt"}}, "split": {"test_at": T.isoformat()},
        "recommenders": recommenders, "k": [5, 50],
    } | changes  # fmt: skip


def usual(users: int = 12, tracks: int = 10, new: int = 2) -> list[tuple[str, str, int]]:
    """Everybody plays a few tracks long before T, in the month before it, and after it; the last `new` only then."""
    rng, plays = np.random.default_rng(0), []
    for user in range(users):
        order = rng.permutation(tracks - new)
        plays += [(f"u{user}", f"t{track}", day) for track, day in zip(order, (-90, -80, -70, -9, -8, 4), strict=False)]
        plays += [(f"u{user}", f"t{tracks - 1 - track}", day) for track, day in zip(range(new), (-6, 5), strict=False)]
    return plays


VECTORS = np.random.default_rng(1).standard_normal((10, 6))


def refusals(run: Run) -> dict[tuple[str, str], str]:
    cells = [run.read(cell) for cell in run.experiments if cell.control == "real"]
    return {(cell.experiment.label, scenario): why for cell in cells for scenario, why in cell.refused.items()}


def finite(run: Run) -> bool:
    """Whether all scores of all lists are finite, and no list is empty."""
    for experiment in run.experiments:
        for lists in run.read(experiment).lists.values():
            filled = lists.items >= 0
            if not (np.isfinite(lists.scores[filled]).all() and filled.any(1).all()):
                return False
    return True


@pytest.mark.slow
def test_users_and_tracks_with_one_play_odd_vectors_and_a_k_beyond_the_catalogue(tmp_path: Path) -> None:
    plays = [*usual(), ("once", "t3", -50), ("once too", "t4", -9), ("u0", "t10", -60), ("once", "t2", 3)]
    vectors = np.concatenate([VECTORS, np.zeros((1, 6))])
    vectors[[1, 2]], vectors[:, 3] = 0, 7.0
    vectors[[4, 5]] = 0.5
    vectors[1] = 0
    result = bench(write(tmp_path, plays, vectors, ["knn", *map(small, TRAINED)]))
    assert finite(result.run)
    facts = {cell.label: result.run.read(cell).facts for cell in result.run.experiments if cell.control == "real"}
    assert {facts[name]["zero vectors"] for name in ("knn", "shallow", "contrastive", "hybrid", "bert4rec")} == {1.0}
    assert set(refusals(result.run)) == {(name, "cold") for name in ("elsa", "ease", "popularity")}
    hot = result.summary.filter(scenario="hot", metric="ndcg@50", recommender="hybrid")["value"]
    assert 0 < hot[0] <= 1


def test_a_catalogue_of_three_tracks(tmp_path: Path) -> None:
    plays = [(f"u{user}", f"t{user % 2}", day) for user in range(4) for day in (-90, -9)]
    plays += [("u2", "t1", -5), ("u3", "t0", -5), ("u0", "t1", 3), ("u1", "t2", 4)]
    result = bench(write(tmp_path, plays, VECTORS[:3], list(map(small, ("contrastive", "hybrid", "bert4rec", "ease")))))
    assert finite(result.run)


def test_a_split_without_cold_tracks_says_so(tmp_path: Path) -> None:
    result = bench(write(tmp_path, usual(new=0), VECTORS, ["knn", *map(small, ("shallow", "hybrid", "elsa"))]))
    assert finite(result.run)
    why = refusals(result.run)
    assert {scenario for _, scenario in why} == {"cold"}
    assert {why[name, "cold"] for name in ("knn", "shallow", "hybrid", "elsa")} == {
        "the cold scenario is empty: no user has a relevant item"
    }


def why_missing(run: Run) -> list[str]:
    """The reasons of the cells that failed, in the order of the plan."""
    return [run.failure(experiment) or "" for experiment in run.missing]


def test_stopping_on_an_empty_scenario_names_the_setting_and_keeps_finished_cells(tmp_path: Path) -> None:
    everything = [("u0", f"t{track}", -100) for track in range(10)]
    config = write(tmp_path, [*everything, *usual(new=0)], VECTORS, ["knn", small("hybrid", stop_on="cold")])
    run = bench(config).run
    assert {experiment.label for experiment in run.missing} == {"hybrid"}
    reason = run.failure(run.missing[0])
    assert re.search(r"no cold pairs to stop on.*set `stop_on` to another scenario", reason or "")
    assert {experiment.label for experiment in run.finished} >= {"knn"}
    page = (run.folder / "report.html").read_text(encoding="utf-8")
    assert "no cold pairs to stop on" in page
    assert "there is no verdict yet" in page


def test_a_loss_that_is_no_number_fails_its_cells_and_loses_nothing(tmp_path: Path) -> None:
    """The step, the learning rate and the last good checkpoint are named; a lower rate goes on from the same folder."""
    config = write(tmp_path, usual(), VECTORS, ["knn", small("hybrid", lr=1e25, width=4)])
    run = bench(config).run
    reason = run.failure(next(experiment for experiment in run.missing if experiment.label == "hybrid")) or ""
    assert "training Hybrid diverged: " in reason
    assert "of epoch 1, learning rate 1e+25" in reason
    assert "Lower `lr`" in reason
    done = {experiment.hash for experiment in run.experiments if run.has(experiment)}
    assert {experiment.label for experiment in run.experiments if experiment.hash not in done} == {"hybrid"}
    steps: list[str] = []
    lower = bench(config | {"recommenders": ["knn", small("hybrid")]}, lambda what, *_: steps.append(what))
    assert finite(lower.run)
    assert not any("knn" in what for what in steps if what.startswith("cells: "))


def test_a_loss_that_breaks_later_leaves_the_last_good_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forward, epochs = HybridModel.forward, []

    def breaking(self: Any, examples: Any, rows: Any, rng: Any) -> torch.Tensor:
        epochs.append(1)
        return forward(self, examples, rows, rng) * (np.nan if len(epochs) == 4 else 1)  # two steps an epoch

    config = write(tmp_path, usual(), VECTORS, [small("hybrid")])
    with monkeypatch.context() as patch:
        patch.setattr(HybridModel, "forward", breaking)
        reason = why_missing(bench(config).run)[0]
    assert "the loss is nan (step 2 of epoch 2, learning rate 0.01)" in reason
    (kept,) = (tmp_path / "run" / "training").rglob("checkpoint.safetensors")
    assert f"The checkpoint of the last good epoch is {kept}." in reason
    steps: list[str] = []
    bench(config, lambda what, *_: steps.append(what))
    trained = [what for what in steps if what.startswith("training: ")]
    assert trained[0].startswith("training: validation epoch 2"), "it went on from the checkpoint"
    assert not list((tmp_path / "run" / "training").rglob("checkpoint*"))
    assert len(list((tmp_path / "run" / "training").rglob("log.jsonl"))) == 6, (
        "real and two controls, each fitted twice"
    )


def test_out_of_memory_halves_the_block_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    forward = ContrastiveModel.forward

    def greedy(self: Any, *arguments: Any) -> torch.Tensor:
        if self.block > 100:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(self, *arguments)

    whole = bench(write(tmp_path, usual(), VECTORS, [small("contrastive")]))
    monkeypatch.setattr(ContrastiveModel, "forward", greedy)
    tight = bench(write(tmp_path, usual(), VECTORS, [small("contrastive")], output="tight"))
    assert "working in blocks of 64 from now on" in caplog.text
    for first, second in zip(whole.run.experiments, tight.run.experiments, strict=True):
        np.testing.assert_allclose(
            whole.run.read(first).lists["hot"].scores, tight.run.read(second).lists["hot"].scores, atol=1e-5
        )

    def full(*_: Any) -> torch.Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(HybridModel, "forward", full)
    run = bench(write(tmp_path, usual(), VECTORS, [small("contrastive"), small("hybrid")])).run
    assert "ran out of memory in step 1 of epoch 1 (e.g. '8 examples'). Lower `batch`" in why_missing(run)[0]
    assert {experiment.label for experiment in run.missing} == {"hybrid"}


def test_a_checkpoint_of_other_settings_is_refused_and_left_alone(tmp_path: Path) -> None:
    def interrupted(output: str, **changes: Any) -> tuple[dict[str, Any], Path]:
        def stop(what: str, done: int, total: int) -> None:
            if what.startswith("training: validation epoch 2"):
                raise KeyboardInterrupt

        config = write(tmp_path, usual(), VECTORS, [small("hybrid", **changes)], output=output)
        with pytest.raises(KeyboardInterrupt):
            bench(config, stop)
        (left,) = (tmp_path / output / "training").rglob("checkpoint.safetensors")
        return config, left

    config, mine = interrupted("one")
    _, other = interrupted("other", lr=0.5)
    shutil.copy(other, mine)
    before = mine.read_bytes()
    reason = why_missing(bench(config).run)[0]
    assert re.search(r"belongs to another training: lr is 0.5 there and 0.01 here.*not changed", reason)
    assert mine.read_bytes() == before
    mine.unlink()
    half_written = tmp_path / "one" / "training" / "shared" / ".elsa-0.1"
    half_written.mkdir(parents=True)
    assert finite(bench(config).run)
    assert not half_written.exists(), "what a killed run was writing"
