"""Trainings that were killed go on to the bits of the uninterrupted ones, and their logs have every epoch once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from test_training import CONTENT, FOLD, SMALL, TRAIN, Steps, rng
from timbrec.errors import ConfigError
from timbrec.protocols import Workspace
from timbrec.training import drop_checkpoints

LONG = {name: replace(settings, epochs=4, patience=3) for name, settings in SMALL.items()}
TRAINED = {"epoch": (2,), "checkpoint": (2,), "best weights": (1, 2, 3)}  # epochs in the log of a killed training
KILLED = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
import safetensors.torch as files
import torch.utils.tensorboard  # once, for all that are forked
from test_resuming import CONTENT, FOLD, LONG, rng
from timbrec.protocols import Workspace

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def in_an_epoch(what, done, total):
    if what.startswith("epoch 3") and done % (total // 4):
        die()

def in_a_file(tensors, path, metadata=None):
    ending = {"checkpoint": "-checkpoint.safetensors", "best weights": ".checkpoint.safetensors"}[sys.argv[3]]
    if Path(path).parent.parent == Path(sys.argv[2]) and Path(path).name.endswith(ending):  # not of the ELSA inside
        saved.append(1)
        if len(saved) == {"checkpoint": 3, "best weights": 2}[sys.argv[3]]:
            whole = files.save(tensors, metadata)
            Path(path).write_bytes(whole[: len(whole) // 2])
            die()
    save_file(tensors, path, metadata)

saved, save_file = [], files.save_file
if sys.argv[3] != "epoch":
    files.save_file = in_a_file
for name, settings in LONG.items():
    if not (child := os.fork()):
        folder = Path(sys.argv[2], name)
        workspace = Workspace(folder, folder / "shared", in_an_epoch if sys.argv[3] == "epoch" else None)
        settings.fit(FOLD.train, CONTENT, FOLD, rng(3), workspace)
        os._exit(0)
    if os.waitpid(child, 0)[1] == signal.SIGKILL:
        print(name)
"""


@pytest.fixture(scope="module")
def whole() -> dict[str, Any]:
    """The results of an uninterrupted training."""
    return {name: settings.fit(TRAIN, CONTENT, FOLD, rng(3)) for name, settings in LONG.items()}


def epochs_of(folder: Path) -> list[int]:
    return [json.loads(line)["epoch"] for line in (folder / "log.jsonl").read_text().splitlines()]


@pytest.mark.slow
@pytest.mark.parametrize("where", list(TRAINED))
def test_a_killed_training_resumes_to_the_same_bits(where: str, whole: dict[str, Any], tmp_path: Path) -> None:
    """SIGKILL within the third epoch, while the third checkpoint is half on disk, and while the second best weights
    are, where an epoch is better than the first."""
    command = [sys.executable, "-c", KILLED, str(Path(__file__).parent), str(tmp_path), where]
    done = subprocess.run(command, env=os.environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    killed = done.stdout.split()
    assert killed == list(LONG) if where != "best weights" else killed
    for name in killed:
        settings = LONG[name]
        before = epochs_of(tmp_path / name)
        assert len(before) in TRAINED[where]
        assert before == list(range(1, len(before) + 1))
        torn = [path for path in (tmp_path / name).glob(".*checkpoint*") if path.is_file()]
        assert len(torn) == (where != "epoch")
        trained: list[str] = []
        workspace = Workspace(
            tmp_path / name, tmp_path / name / "shared", lambda what, *_, steps=trained: steps.append(what)
        )
        resumed = settings.fit(TRAIN, CONTENT, FOLD, rng(3), workspace)
        assert trained[0].startswith(f"epoch {len(before) + 1}"), f"{name} began anew"
        np.testing.assert_array_equal(whole[name].users, resumed.users)
        np.testing.assert_array_equal(whole[name].items, resumed.items)
        assert whole[name].chosen == resumed.chosen
        assert whole[name].facts == resumed.facts
        assert epochs_of(tmp_path / name) == [1, 2, 3, 4]
        drop_checkpoints(workspace)
        assert not list((tmp_path / name).rglob("*checkpoint*"))
        assert epochs_of(tmp_path / name) == [1, 2, 3, 4]


def curves_of(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """The curves that TensorBoard reads from a folder."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    accumulator = EventAccumulator(str(folder))
    accumulator.Reload()
    return {
        name: [(event.step, event.value) for event in accumulator.Scalars(name)]
        for name in accumulator.Tags()["scalars"]
    }


class Stopped(Exception):  # noqa: N818 - no error, an interruption
    pass


@pytest.mark.parametrize("lost", ["nothing", "an epoch's line", "the checkpoint"])
def test_tensorboard_shows_every_epoch_once(lost: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Interrupted in epoch 3, or between a checkpoint and its line in the log; or begun anew in the same folder."""
    from timbrec.training import log

    pytest.importorskip("tensorboard")
    settings = replace(LONG["hybrid"], epochs=5)

    def stop(what: str, done: int, total: int) -> None:
        if what.startswith("epoch 3"):
            raise Stopped

    write = log.Log.write

    def forgetful(self: Any, entry: dict[str, Any]) -> None:
        if entry["epoch"] == 3:
            raise Stopped
        write(self, entry)

    with monkeypatch.context() as patch:
        patch.setattr(log.Log, "write", forgetful if lost == "an epoch's line" else write)
        progress = None if lost == "an epoch's line" else stop
        with pytest.raises(Stopped):
            settings.fit(TRAIN, CONTENT, FOLD, rng(3), Workspace(tmp_path, progress=progress))
    assert [step for step, _ in curves_of(tmp_path)["loss"]] == [1, 2]
    if lost == "the checkpoint":
        (tmp_path / "checkpoint.safetensors").unlink()
    settings.fit(TRAIN, CONTENT, FOLD, rng(3), Workspace(tmp_path))
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2, 3, 4, 5]
    curves = curves_of(tmp_path)
    assert set(curves) == {"loss", "lr", "ndcg@50 mixed", "seconds"}
    for name, points in curves.items():
        assert [epoch for epoch, _ in points] == [line["epoch"] for line in lines]
        assert [value for _, value in points] == pytest.approx([line[name] for line in lines], rel=1e-6)


def test_without_tensorboard_there_is_the_log_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    SMALL["hybrid"].fit(TRAIN, CONTENT, None, rng(), Workspace(tmp_path))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint.safetensors", "log.jsonl"]
    assert epochs_of(tmp_path) == [1, 2]


def test_a_checkpoint_past_the_last_epoch_is_refused_and_left_alone(tmp_path: Path) -> None:
    replace(SMALL["hybrid"], epochs=3).fit(TRAIN, CONTENT, None, rng(3), Workspace(tmp_path))
    before = (tmp_path / "checkpoint.safetensors").read_bytes()
    with pytest.raises(ConfigError, match=r"of epoch 3, past the last one.*epochs: 2"):
        SMALL["hybrid"].fit(TRAIN, CONTENT, None, rng(3), Workspace(tmp_path))
    assert (tmp_path / "checkpoint.safetensors").read_bytes() == before
    assert epochs_of(tmp_path) == [1, 2, 3]


def test_the_wait_for_a_plateau_continues_after_a_resumption(tmp_path: Path) -> None:
    """Nothing gets better after epoch 1; three such epochs are let pass, wherever the training was interrupted."""
    settings = Steps(epochs=7, batch=len(TRAIN), lr=0.01, plateau=3, patience=9, script=(0.5,) * 7)
    whole = settings.fit(TRAIN, CONTENT, FOLD, rng())

    def stop(what: str, done: int, total: int) -> None:
        if what.startswith("epoch 4"):
            raise Stopped

    with pytest.raises(Stopped):
        settings.fit(TRAIN, CONTENT, FOLD, rng(), Workspace(tmp_path, progress=stop))
    resumed = settings.fit(TRAIN, CONTENT, FOLD, rng(), Workspace(tmp_path))
    rates = [json.loads(line)["lr"] for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert rates == pytest.approx([0.01] * 5 + [0.001] * 2)
    np.testing.assert_array_equal(resumed.items, whole.items)


def test_a_training_within_a_training_is_reported_under_its_name(tmp_path: Path) -> None:
    steps: list[str] = []
    workspace = Workspace(tmp_path, progress=lambda what, *_: steps.append(what))
    assert workspace.inside("refit").inside("elsa").folder == tmp_path / "refit" / "elsa"
    SMALL["contrastive"].fit(TRAIN, CONTENT, None, rng(), workspace)
    assert steps[0].startswith("elsa epoch 1: loss")
    assert steps[-1].startswith("epoch 2: loss")
    assert epochs_of(tmp_path / "elsa") == epochs_of(tmp_path) == [1, 2]


def test_a_training_that_stops_early_reports_its_end() -> None:
    reports: list[tuple[str, int, int]] = []
    settings = Steps(epochs=9, batch=len(TRAIN), patience=2, script=(0.5, 0.6, 0.7))
    settings.fit(TRAIN, CONTENT, FOLD, rng(), Workspace(progress=lambda *report: reports.append(report)))
    assert reports[-2:] == [("epoch 3: loss 0.9980, validation loss 0.5000", 3, 9), ("stopped after epoch 3", 9, 9)]


def test_out_of_memory_draws_the_same_negatives_and_masks_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first try of every step runs out after it has drawn; BERT4Rec's dropout and masks are random."""
    from timbrec.recommenders.bert4rec import BERT4RecModel

    settings = SMALL["bert4rec"]
    whole = settings.fit(TRAIN, CONTENT, None, rng())
    forward, left = BERT4RecModel.forward, [3]

    def greedy(self: Any, examples: Any, rows: Any, rng: np.random.Generator) -> torch.Tensor:
        loss = forward(self, examples, rows, rng)
        if left[0] and self.training:
            left[0] -= 1
            raise torch.OutOfMemoryError("out of memory")
        return loss

    monkeypatch.setattr(BERT4RecModel, "forward", greedy)
    again = settings.fit(TRAIN, CONTENT, None, rng())
    assert left == [0]
    np.testing.assert_allclose(again.items, whole.items, atol=1e-6)
    np.testing.assert_allclose(again.users, whole.users, atol=1e-5)
