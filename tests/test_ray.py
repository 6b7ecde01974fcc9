"""The Ray engine on a real cluster of two nodes: equal results, lost workers, resumption, and clear errors."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import yaml

import small_world
from clusters import mortal_node, two_nodes
from moments import write_music
from timbrec import api
from timbrec.embed import Output, embed_all, load_encoder
from timbrec.errors import ConfigError
from timbrec.machine.cluster import session
from timbrec.machine.versions import versions
from timbrec.probes.shared.records import Record
from timbrec.store import VectorStore
from timbrec.study.config import make_config, read_config
from timbrec.study.description import describe_run
from timbrec.study.grid import run_study
from timbrec.study.inputs import load_inputs
from timbrec.study.probing import run_probes
from timbrec.study.runs import Run
from timbrec.training.launching import run_together


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    with two_nodes() as engine:
        yield engine


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Any:
    config = read_config(small_world.write(tmp_path_factory.mktemp("world"), recommenders=["knn"], seeds=[0]))
    return config, load_inputs(config)


def start(world: Any, folder: Path) -> Run:
    config, inputs = world
    return Run.create(folder, describe_run(config, inputs), inputs.split)


def assert_equal(first: Run, second: Run) -> None:
    """The stored tables of two runs are equal to the bit."""
    assert not first.missing
    assert not second.missing
    for experiment in first.experiments:
        tables = [run.read(experiment).records for run in (first, second)]
        assert tables[0].keys() == tables[1].keys()
        for name in tables[0]:
            assert tables[0][name].equals(tables[1][name]), experiment.title


@pytest.mark.slow
def test_a_grid_on_two_nodes_equals_the_local_one_to_the_bit(cluster: str, world: Any, tmp_path: Path) -> None:
    config, inputs = world
    runs = [start(world, tmp_path / name) for name in ("local", "ray")]
    steps: list[tuple[str, int, int]] = []
    run_study(config, inputs, runs[0])
    count = run_study(config, inputs, runs[1], lambda *step: steps.append(step), jobs=None, engine=cluster)
    assert_equal(*runs)
    assert count == len(runs[0].experiments)
    assert steps[-1] == ("cells", count, count)
    assert [done for _, done, _ in steps] == sorted(done for _, done, _ in steps)
    assert run_study(config, inputs, runs[1], engine=cluster) == 0, "all cells are stored"
    assert isinstance(runs[1].read(runs[1].experiments[0]).records["hot"], pl.DataFrame)


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five tracks, a copy of one, and a file that is no audio."""
    folder = write_music(tmp_path_factory.mktemp("music"))
    (folder / "copy.wav").write_bytes((folder / "a.wav").read_bytes())
    (folder / "text.wav").write_text("no audio")
    return folder


def outputs_of(folder: Path, engine: str) -> list[Output]:
    encoder = load_encoder("mfcc", None, "cpu", engine)
    return [Output(encoder, folder / "mean"), Output(encoder, folder / "max", pool="max")]


def assert_same_stores(first: Path, second: Path) -> None:
    """The vectors of two folders of stores are equal to the bit."""
    for name in ("mean", "max"):
        stores = [VectorStore.open(folder / name) for folder in (first, second)]
        ids = stores[0].ids.to_list()
        assert ids == stores[1].ids.to_list()
        assert stores[0].aligned(ids).tobytes() == stores[1].aligned(ids).tobytes()


@pytest.mark.slow
def test_audio_encoded_on_two_nodes_equals_local_vectors_to_the_bit(cluster: str, music: Path, tmp_path: Path) -> None:
    steps: list[tuple[str, int, int]] = []
    local = embed_all(music, outputs_of(tmp_path / "local", "local"))
    with session(cluster):
        chosen = outputs_of(tmp_path / "ray", cluster)
        report = embed_all(music, chosen, engine=cluster, progress=lambda *step: steps.append(step))
        again = embed_all(music, chosen, engine=cluster)
    assert_same_stores(tmp_path / "local", tmp_path / "ray")
    assert (report.done, report.recognised) == (local.done, local.recognised)
    assert report.failures.equals(local.failures)
    assert report.remarks.equals(local.remarks)
    assert steps[-1] == ("encoding mfcc", 7, 7)
    assert (again.done, again.skipped) == (0, 6)


@pytest.mark.slow
def test_probes_on_two_nodes_equal_local_ones(cluster: str, tmp_path: Path) -> None:
    probes = [{"use": "labels", "path": "genre.csv", "columns": {"id": "track"}, "label": "genre"}]
    path = small_world.write(tmp_path, recommenders=["knn"], seeds=[0], probes=probes)
    ids = (tmp_path / "ids.txt").read_text().split()
    high = small_world.WORLD._latents[:, 0] > 0
    pl.DataFrame({"track": ids, "genre": np.where(high, "high", "low")}).write_csv(tmp_path / "genre.csv")
    config = read_config(path)
    inputs = load_inputs(config)
    local = run_probes(config, inputs, tmp_path / "local")
    with session(cluster):
        remote = run_probes(config, inputs, tmp_path / "ray", engine=cluster)
    assert not local.failures
    assert not remote.failures
    assert [described(record) for record in local.records] == [described(record) for record in remote.records]


def described(record: Record) -> dict[str, Any]:
    """A record without its running time, as plain values."""
    return asdict(replace(record, seconds=0.0, test=pl.DataFrame())) | {"test": record.test.rows()}


# Lost workers and drivers


def processes(start: str) -> list[int]:
    """Processes with a title that begins with a text."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if path.read_bytes().startswith(start.encode()):
                found.append(int(path.parent.name))
    return found


class Once:
    """A progress callback that makes a call in a thread, once."""

    def __init__(self, call: Callable[[], object]) -> None:
        self.thread = threading.Thread(target=call, daemon=True)

    def __call__(self, *_: object) -> None:
        with suppress(RuntimeError):  # it was started before
            self.thread.start()


def kill_first(title: str, killed: list[int]) -> None:
    """Wait for a process with a title, at most a minute, kill it, and note it in `killed`."""
    until = time.monotonic() + 60
    while not killed and time.monotonic() < until:
        for process in processes(title)[:1]:
            os.kill(process, signal.SIGKILL)
            killed.append(process)
        time.sleep(0.01)


@pytest.mark.slow
def test_a_killed_worker_loses_no_cell(cluster: str, world: Any, tmp_path: Path) -> None:
    config, inputs = world
    runs = [start(world, tmp_path / name) for name in ("local", "ray")]
    run_study(config, inputs, runs[0])
    killed = list[int]()
    run_study(config, inputs, runs[1], Once(lambda: kill_first("ray::good", killed)), jobs=None, engine=cluster)
    assert len(killed) == 1
    assert_equal(*runs)


@pytest.mark.slow
def test_a_killed_worker_loses_no_vector(cluster: str, music: Path, tmp_path: Path) -> None:
    embed_all(music, outputs_of(tmp_path / "local", "local"))
    killed = list[int]()
    killer = Once(lambda: kill_first("ray::MapWorker", killed))
    with session(cluster):
        chosen = outputs_of(tmp_path / "ray", cluster)
        report = embed_all(music, chosen, engine=cluster, progress=killer)
    assert len(killed) == 1
    assert (report.done, len(report.failures)) == (5, 1)
    assert_same_stores(tmp_path / "local", tmp_path / "ray")


COMMAND = "from timbrec.cli.main import main; main()"


@pytest.mark.slow
def test_a_killed_driver_goes_on_where_it_stopped(tmp_path: Path) -> None:
    """With a cluster started for the run, which must end with it."""
    config = read_config(small_world.write(tmp_path, recommenders=["knn"], seeds=[0]))
    command = [sys.executable, "-c", COMMAND, "bench", str(tmp_path / "config.yaml"), "--engine", "ray"]
    driver = subprocess.Popen(command, env=os.environ | {"TIMBREC_CODE_CHECKS": "off"}, cwd=tmp_path)
    until = time.monotonic() + 400
    while not list(tmp_path.glob("run/cells/*/cell.json")) and driver.poll() is None and time.monotonic() < until:
        time.sleep(0.05)
    driver.kill()
    driver.wait()
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.glob("run/cells/*/cell.json")}
    assert kept
    inputs = load_inputs(config)
    run = Run(tmp_path / "run")
    assert run.missing, "the driver was killed before the end"
    run_study(config, inputs, run, jobs=None, engine="ray")
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    whole = start((config, inputs), tmp_path / "whole")
    run_study(config, inputs, whole)
    assert_equal(whole, run)


# Lost nodes


@pytest.mark.slow
def test_a_killed_node_loses_no_cell(world: Any, tmp_path: Path) -> None:
    config, inputs = world
    runs = [start(world, tmp_path / name) for name in ("local", "ray")]
    run_study(config, inputs, runs[0])
    with mortal_node() as (engine, kill):
        left: list[int] = []

        def kill_and_count() -> None:
            kill()
            left.append(len(runs[1].missing))

        once = Once(kill_and_count)
        run_study(config, inputs, runs[1], once, jobs=None, engine=engine)
        once.thread.join(60)
    assert_equal(*runs)
    assert left[0], "the node was killed after the last cell"


@pytest.mark.slow
def test_a_cluster_without_nodes_is_not_waited_for(world: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("timbrec.study.engines.ray._PATIENCE", 5.0)
    run = start(world, tmp_path)
    with mortal_node(num_cpus=0) as (engine, kill), pytest.raises(ConfigError, match="the cluster lost its nodes"):
        run_study(world[0], world[1], run, Once(kill), jobs=None, engine=engine)
    assert run.missing
    assert all(run.read(experiment).records for experiment in run.finished)


# A single core


@pytest.mark.slow
def test_a_cluster_of_one_core_ends(world: Any, music: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading never waits for workers that hold all cores."""
    monkeypatch.setattr("timbrec.machine.cluster.cores", lambda: 1)
    began = time.monotonic()
    with session("ray"):
        report = embed_all(music, outputs_of(tmp_path / "vectors", "ray"), engine="ray")
        run = start(world, tmp_path / "run")
        run_study(world[0], world[1], run, jobs=None, engine="ray")
    assert (report.done, len(report.failures)) == (5, 1)
    assert not run.missing
    assert time.monotonic() - began < 600


# Trainings that several processes share


@pytest.mark.slow
def test_processes_that_ray_train_starts_share_a_training(cluster: str, tmp_path: Path) -> None:
    pytest.importorskip("lightning_fabric", reason="the extra `fabric` is not installed")
    settings = {"epochs": 2, "width": 16, "batch": 50}
    path = small_world.write(tmp_path, recommenders=[{"use": "hybrid"} | settings], seeds=[0])
    alone = api.bench(path)
    steps: list[tuple[str, int, int]] = []
    together = api.bench(
        make_config(yaml.safe_load(path.read_text()) | {"base": tmp_path, "output": "together"}),
        lambda *step: steps.append(step), engine=cluster, processes=2,
    )  # fmt: skip
    assert not together.run.missing
    order = ["encoder", "recommender", "control", "scenario", "metric", "seed"]
    values = [result.figures.sort(order)["value"].to_numpy() for result in (alone, together)]
    np.testing.assert_allclose(values[1], values[0], atol=0.02)  # ranks of near ties may change with a loss of 1e-7
    assert {step for step, *_ in steps} >= {"cells"}

    def note(place: Path) -> None:
        from timbrec.training.together import group

        shared = group()
        place.write_text("alone" if shared is None else f"{shared.rank} of {shared.size}")

    run_together(cluster, 2, "cpu", note, tmp_path / "size", watch=lambda: None)
    assert (tmp_path / "size").read_text() == "0 of 2"
    with pytest.raises(ConfigError, match="3 processes were asked for, and the cluster has 2 cores"):
        api.bench(path, engine=cluster, processes=3)


def test_several_processes_need_ray(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="several processes are started by Ray"):
        api.bench(small_world.write(tmp_path), processes=2)


# Errors


@pytest.mark.slow
def test_workers_with_other_versions_are_refused(
    cluster: str, world: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("timbrec.machine.cluster.versions", lambda: versions() | {"torch": "1.0"})
    with pytest.raises(ConfigError, match=r"workers differ from this machine: .* has torch .* \(here 1\.0\)"):
        run_study(world[0], world[1], start(world, tmp_path), engine=cluster)


@pytest.mark.slow
def test_a_worker_without_the_weights_is_named(cluster: str, tmp_path: Path) -> None:
    with session(cluster), pytest.raises(ConfigError, match=r"mert-95m: a worker on .* cannot go on: .*nowhere"):
        load_encoder("mert-95m", tmp_path / "nowhere", "cpu", cluster)
    with session(cluster), pytest.raises(ConfigError, match="no node of the cluster has a GPU"):
        load_encoder("mfcc", None, "cuda", cluster)


@pytest.mark.slow
def test_a_cell_that_no_node_can_hold_is_refused(
    cluster: str, world: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match="no node of the cluster has a GPU"):
        run_study(world[0], world[1], start(world, tmp_path), engine=cluster, device="cuda")
    monkeypatch.setattr("timbrec.study.engines.ray.memory_of", lambda *_: 10**15)
    with pytest.raises(ConfigError, match=r"a cell may take 931322\.6 GiB of memory, and no node"):
        run_study(world[0], world[1], start(world, tmp_path), engine=cluster)


# A client, last: Ray does not join a cluster in a process that was a client before


@pytest.mark.slow
def test_a_client_from_outside_the_cluster(world: Any, music: Path, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    code = f"""
import sys
from pathlib import Path
from clusters import two_nodes
with two_nodes(ray_client_server_port={port}):
    print("ready", flush=True)
    sys.stdin.read()
"""
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                          env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}) as server:  # fmt: skip
        assert server.stdout is not None
        while "ready" not in (line := server.stdout.readline()):
            assert line, "the cluster did not start"
        try:
            engine = f"ray://127.0.0.1:{port}"
            with session(engine):
                report = embed_all(music, outputs_of(tmp_path / "ray", engine), engine=engine)
                run = start(world, tmp_path / "run")
                run_study(world[0], world[1], run, jobs=None, engine=engine)
        finally:
            server.stdin.close()  # type: ignore[union-attr]
    embed_all(music, outputs_of(tmp_path / "local", "local"))
    assert_same_stores(tmp_path / "local", tmp_path / "ray")
    assert report.done == 5
    local = start(world, tmp_path / "local run")
    run_study(world[0], world[1], local)
    assert_equal(local, run)
