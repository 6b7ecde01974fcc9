"""Output of `timbrec doctor` about the machine, the installation and a config, and its exit codes."""

from __future__ import annotations

import importlib.metadata
import json
import socket
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

import small_world
from timbrec import encoders
from timbrec.api import forecast
from timbrec.cli.app import app
from timbrec.protocols import Content
from timbrec.study import calibration, machine, sources
from timbrec.study.calibration import Cost
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
    assert facts["time"].value.startswith("about ")
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

    def cost(experiment: Any, _: Any) -> Cost:
        least = seconds.get(experiment.label, 10.0)
        return Cost(least, 2 * least)

    monkeypatch.setattr(calibration, "_fitting", cost)
    monkeypatch.setattr(calibration, "_ranking", lambda *_: 1.0)
    trials = calibration.calibrated(experiments, inputs)
    fits = sum(seconds.get(experiment.label, 10.0) for experiment in experiments)
    assert trials.tried == len({experiment.label for experiment in experiments})
    assert trials.least.left(experiments) == pytest.approx(len(experiments) + fits)
    assert trials.most.left(experiments) == pytest.approx(len(experiments) + 2 * fits)


def test_no_trial_starts_after_the_time(planned: Any) -> None:
    experiments, inputs = planned
    trials = calibration.calibrated(experiments, inputs, seconds=0.0)
    assert trials.tried == 0
    assert trials.most.left(experiments) is None


@pytest.mark.parametrize(("stop_on", "judged"), [("mixed", 1), ("nothing", 0)])
def test_a_training_counts_with_its_steps_and_validations(
    planned: Any, monkeypatch: pytest.MonkeyPatch, stop_on: str, judged: int
) -> None:
    """A clock that ticks once per reading: three steps take one tick, and so does a validation."""
    from timbrec.recommenders import recommender

    _, inputs = planned
    ticks = iter(range(100))
    monkeypatch.setattr(calibration, "time", SimpleNamespace(perf_counter=lambda: float(next(ticks))))
    settings: Any = recommender(
        "hybrid", {"epochs": 7, "batch": 10, "width": 4, "patience": 2, "stop_on": stop_on}
    )  # fmt: skip
    content = Content(inputs.sources["good"].aligned(inputs.catalogue.ids))
    epoch = 1 / 3 * -(-len(inputs.split.validation.train.users) // 10)
    cost = calibration._training(settings, inputs, content)
    assert cost.most == pytest.approx(7 * (epoch + judged) + 7 * epoch), "fitted twice: for validation, and on all"
    assert cost.least == pytest.approx(3 * (epoch + 1) + epoch if judged else cost.most)
    assert cost.once == 0


def test_a_shared_model_counts_once_per_train_part_and_seed(planned: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    experiments, inputs = planned
    monkeypatch.setattr(calibration, "_fitting", lambda experiment, _: Cost(0.0, 0.0, float(experiment.label == "knn")))
    seeds = {experiment.seed for experiment in experiments if experiment.label == "knn"}
    assert calibration.calibrated(experiments, inputs).once == 2 * len(seeds)


def test_a_forecast_counts_everything_that_a_run_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only fits counted: 1 s was forecast for a run of a minute."""
    config = read_config(small_world.write(tmp_path))
    inputs = load_inputs(config, encode=False)
    experiments = plan(config, inputs)
    monkeypatch.setattr(forecast, "unchecked", lambda: ["a check"])
    expected = forecast.forecast(config, inputs, experiments)
    assert list(expected.most) == [
        "cells",
        "leaks",
        "figures and page",
        "audit of the lists",
        "checks of the code, once",
    ]
    assert all(0 < least <= expected.most[name] for name, least in expected.least.items())
    assert str(expected).startswith("about ")
    assert not list(tmp_path.glob("run*")), "the pilot leaves nothing behind"


def test_a_forecast_says_what_takes_longest() -> None:
    expected = forecast.Forecast(calibration.Trials())
    expected.add("cells", 60.0, 1800.0)
    expected.add("figures", 300.0)
    expected.add("leaks", 2.0)
    assert str(expected) == "about 6 min to 35 min, one cell at a time: cells 1 min to 30 min, figures 5 min"


@pytest.mark.usefixtures("bare")
def test_audio_counts_with_its_encoding(tmp_path: Path) -> None:
    from timbrec.worlds.music import MusicWorld

    MusicWorld(users=40, tracks=40, clip_seconds=1.0).write(tmp_path / "world")
    (tmp_path / "config.yaml").write_text(
        "name: x\noutput: run\ninteractions: {path: world/events.parquet}\nrecommenders: [knn]\n"
        "encoders: {mfcc: {audio: world/audio}}\nsplit: {protocol: item-holdout}\n"
    )
    config = read_config(tmp_path / "config.yaml")
    inputs = load_inputs(config, encode=False)
    expected = forecast.forecast(config, inputs, plan(config, inputs))
    assert expected.most["encoding mfcc"] > 0
    assert not (tmp_path / "vectors").exists()
    assert sources.seconds_per_track("mfcc", config.encoders["mfcc"], tmp_path, "cpu", rate=1.0) == pytest.approx(
        encoders.find("mfcc").card.gflop * 1e9 * config.encoders["mfcc"].count
    ), "by the card's operations, where a track takes long"
