"""Output of `timbrec doctor` about the machine, the installation and a config, and its exit codes."""

from __future__ import annotations

import importlib.metadata
import json
import socket
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import small_world
from timbrec.cli.app import app
from timbrec.protocols import Content
from timbrec.study import calibration, machine
from timbrec.study.config import read_config
from timbrec.study.inputs import load_inputs
from timbrec.study.machine import Fact
from timbrec.study.plan import plan


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the facts that need imports of encoders."""
    monkeypatch.setattr(machine, "_weights", lambda: iter(()))


def answer(*arguments: str) -> tuple[int, dict[str, Fact]]:
    """The exit code and the facts by name."""
    result = CliRunner().invoke(app, ["doctor", "--json", *arguments])
    return result.exit_code, {record["name"]: Fact(**record) for record in json.loads(result.stdout)}


@pytest.mark.usefixtures("bare")
def test_a_complete_installation_has_exit_code_0_and_a_line_per_fact() -> None:
    result = CliRunner().invoke(app, ["doctor"])
    lines = result.stdout.splitlines()
    assert result.exit_code == 0
    assert lines[-1] == "nothing is missing (exit code 0)"
    assert f"   numpy: {importlib.metadata.version('numpy')}" in lines
    assert any(line.startswith("   decoders: FFmpeg's libavcodec") and "mp3, flac" in line for line in lines)


@pytest.mark.usefixtures("bare")
@pytest.mark.parametrize(
    ("name", "state", "fix", "code"),
    [("polars", "missing", "pip install polars", 2), ("h5py", "optional", "pip install 'timbrec[encoders]'", 0)],
)
def test_a_missing_library_is_named_with_its_fix(
    name: str, state: str, fix: str, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = importlib.metadata.version

    def without(library: str) -> str:
        if library == name:
            raise importlib.metadata.PackageNotFoundError
        return version(library)

    monkeypatch.setattr(importlib.metadata, "version", without)
    exit_code, facts = answer()
    assert (exit_code, facts[name]) == (code, Fact(name, "not installed", state, fix))


@pytest.mark.usefixtures("bare")
def test_a_decoder_that_is_not_there_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_DECODERS", ("mp3", "no_such_codec"))
    exit_code, facts = answer()
    assert exit_code == 2
    assert "lacks no_such_codec" in facts["decoders"].value


@pytest.mark.usefixtures("bare")
def test_an_address_of_a_cluster_is_tried() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        facts = {fact.name: fact for fact in machine.facts(f"ray://127.0.0.1:{port}")}
        assert facts["Ray cluster"] == Fact("Ray cluster", f"ray://127.0.0.1:{port} answers")
    exit_code, facts = answer("--ray", f"127.0.0.1:{port}")
    assert exit_code == 2
    assert facts["Ray cluster"].state == "missing"
    assert f"nobody answers at 127.0.0.1:{port}" in facts["Ray cluster"].value


def test_weights_are_listed_with_the_way_to_get_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    facts = {fact.name: fact for fact in machine._weights()}
    assert "weights of mfcc" not in facts
    assert all(fact.value == "here" or fact.fix for fact in facts.values())
    assert len(facts) >= 10


@pytest.mark.usefixtures("bare")
def test_a_config_is_counted_and_timed(tmp_path: Path) -> None:
    path = small_world.write(tmp_path)
    exit_code, facts = answer(str(path))
    config = read_config(path)
    cells = len(plan(config, load_inputs(config, encode=False)))
    assert exit_code == 0
    assert facts["cells"].value == f"{cells:,}"
    assert facts["time"].value.startswith("at most about ")
    assert "GiB of memory" in facts["cell memory"].value


@pytest.mark.usefixtures("bare")
def test_a_config_without_its_files_is_missing_them(tmp_path: Path) -> None:
    path = small_world.write(tmp_path)
    (tmp_path / "good.npy").unlink()
    exit_code, facts = answer(str(path))
    assert exit_code == 2
    assert "good.npy" in facts["config"].value


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Experiments and inputs of the small world."""
    config = read_config(small_world.write(tmp_path_factory.mktemp("world")))
    inputs = load_inputs(config, encode=False)
    return plan(config, inputs), inputs


def test_every_cell_counts_with_the_time_of_its_recommender(planned: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    experiments, inputs = planned
    seconds = {"knn": 2.0, "knn centred": 3.0}
    monkeypatch.setattr(calibration, "_fitting", lambda experiment, _: seconds.get(experiment.label, 10.0))
    monkeypatch.setattr(calibration, "_ranking", lambda *_: 1.0)
    estimate, tried = calibration.calibrated(experiments, inputs)
    expected = sum(1 + seconds.get(experiment.label, 10.0) for experiment in experiments)
    assert tried == len({experiment.label for experiment in experiments})
    assert estimate.left(experiments) == pytest.approx(expected)


def test_no_trial_starts_after_the_time(planned: Any) -> None:
    experiments, inputs = planned
    estimate, tried = calibration.calibrated(experiments, inputs, seconds=0.0)
    assert tried == 0
    assert estimate.left(experiments) is None


def test_a_training_counts_with_all_its_steps(planned: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that ticks once per reading: three steps take one tick."""
    from timbrec.recommenders import recommender

    _, inputs = planned
    ticks = iter(range(100))
    monkeypatch.setattr(time, "perf_counter", lambda: float(next(ticks)))
    settings: Any = recommender("hybrid", {"epochs": 7, "batch": 10, "width": 4})
    content = Content(inputs.sources["good"].aligned(inputs.catalogue.ids))
    users = len(inputs.split.test.train.users)
    expected = 1 / 3 * -(-users // 10) * 7 * 2  # fitted twice: for validation, and on all of train
    assert calibration._training(settings, inputs, content) == pytest.approx(expected)
