"""Runs in experiment trackers: a local MLflow store, and Weights & Biases offline."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

import small_world
import timbrec
from timbrec import catalog
from timbrec.api import log_run
from timbrec.cli.app import app
from timbrec.errors import ConfigError
from timbrec.trackers.shared.base import Record


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run."""
    folder = tmp_path_factory.mktemp("world")
    timbrec.bench(small_world.write(folder, recommenders=["knn"], seeds=[0], k=[20], metrics=["ndcg", "recall"]))
    return folder / "run"


def figures(run: Path) -> dict[str, float]:
    """The figures of the run by the names that trackers get, from the table that the run wrote."""
    table = pl.read_csv(run / "results.csv", infer_schema_length=None).filter(control="real").drop_nulls("value")
    names = pl.concat_str(
        "scenario",
        "encoder",
        "recommender",
        pl.col("metric").str.replace("@", "_at_"),
        separator="/",
        ignore_nulls=True,
    )
    return dict(table.select(names, "value").iter_rows())


class Kept:
    """A tracker that keeps the last record."""

    record: Record

    def __init__(self, project: str | None = None) -> None:
        self.project = project

    def log(self, record: Record) -> str:
        Kept.record = record
        return f"kept in {self.project}"


def test_a_record_holds_config_identity_figures_and_the_page(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(catalog.CATALOG["trackers"], "kept", catalog.Part(f"{__name__}:Kept"))
    assert log_run(run, "kept", "mine") == "kept in mine"
    record, table = Kept.record, figures(run)
    assert record.name == "small world"
    assert record.parameters["split.test_at"].startswith("2019-02-01")
    assert record.parameters["encoders.good.vectors"] == "good.npy"
    assert record.parameters["timbrec"]
    assert len(record.parameters["cells.digest"]) == 16
    assert {name for name in record.metrics if not name.endswith((".low", ".high", ".chance"))} == set(table)
    cold = "cold/good/knn/ndcg_at_20"
    assert record.metrics[cold] == pytest.approx(table[cold])
    assert record.metrics[f"{cold}.low"] < record.metrics[cold] < record.metrics[f"{cold}.high"]
    assert 0 < record.metrics[f"{cold}.chance"] < 1
    assert [file.name for file in record.files] == ["report.html", "results.csv", "run.json"]


@pytest.mark.slow  # the client takes half a minute to start on a busy machine
def test_mlflow_gets_the_run(run: Path, tmp_path: Path) -> None:
    """Without any settings, as its first users run it: MLflow then keeps a database in the present folder."""
    pytest.importorskip("mlflow", reason="the extra mlflow is not installed")
    plain = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
    command = [sys.executable, "-m", "timbrec", "log", str(run), "--to", "mlflow", "--project", "mine"]
    answer = subprocess.run(command, cwd=tmp_path, env=plain, capture_output=True, text=True, check=False)
    assert answer.stdout.startswith("logged: MLflow at sqlite:"), answer.stderr
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as kept:
        ((name, place, experiment),) = kept.execute(
            "select r.name, artifact_uri, e.name from runs r join experiments e using (experiment_id)"
        )
        params, metrics = (dict(kept.execute(f"select key, value from {table}")) for table in ("params", "metrics"))
    assert (name, experiment) == ("small world", "mine")
    assert params["recommenders"].startswith("[{")
    assert {name: metrics[name] for name in figures(run)} == pytest.approx(figures(run))
    folder = tmp_path / place.removeprefix("file://")
    assert {file.name for file in folder.iterdir()} == {"report.html", "results.csv", "run.json"}


@pytest.mark.slow  # the client takes half a minute to start on a busy machine
def test_weights_and_biases_keeps_the_run_offline(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb", reason="the extra wandb is not installed")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    monkeypatch.setenv("WANDB_SILENT", "true")
    answer = CliRunner().invoke(app, ["log", str(run), "--to", "wandb"], catch_exceptions=False)
    assert "logged: Weights & Biases" in answer.stdout
    (kept,) = (tmp_path / "wandb").glob("offline-run-*")
    (log,) = kept.glob("*.wandb")
    assert b"cold/good/knn/ndcg_at_20" in log.read_bytes()
    assert (kept / "files" / "report.html").exists()


@pytest.mark.parametrize("name", ["mlflow", "wandb"])
def test_a_missing_extra_is_one_line(run: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ConfigError, match=rf"pip install 'timbrec\[{name}\]'"):
        log_run(run, name)


def test_an_unknown_tracker_is_named_with_the_known_ones(run: Path) -> None:
    with pytest.raises(ConfigError, match=r"no tracker called 'mlfow'\. Did you mean 'mlflow'"):
        log_run(run, "mlfow")


def test_a_service_that_refuses_is_one_line(run: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("mlflow", reason="the extra mlflow is not installed")
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"no-such-scheme:{tmp_path}")
    with pytest.raises(ConfigError, match="MLflow did not take the run"):
        log_run(run, "mlflow")
    assert json.loads((run / "run.json").read_text())["config"]["name"] == "small world"
