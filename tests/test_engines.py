"""Engines without a cluster: their names, their needs of memory, and errors before work starts."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import small_world
from timbrec.embed import load_encoder
from timbrec.errors import ConfigError
from timbrec.machine.cluster import _join, connected, refusing_lost_work
from timbrec.study import needs
from timbrec.study.config import read_config
from timbrec.study.grid import run_study
from timbrec.study.inputs import load_inputs
from timbrec.study.needs import jobs_that_fit, memory_of
from timbrec.study.plan import plan
from timbrec.study.runs import Run

GIB = 2**30


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Any:
    trained = {"use": "hybrid", "epochs": 1, "width": 8, "batch": 64}
    folder = tmp_path_factory.mktemp("world")
    config = read_config(small_world.write(folder, recommenders=["knn", "ease", trained], seeds=[0]))
    return config, load_inputs(config)


def test_an_unknown_engine_is_refused_before_work_starts(world: Any, tmp_path: Path) -> None:
    run = Run.create(tmp_path, {}, world[1].split)
    with pytest.raises(ConfigError, match=r"there is no engine called 'rya'.*Did you mean 'ray'"):
        run_study(world[0], world[1], run, engine="rya")
    with pytest.raises(ConfigError, match="there is no engine called 'rya'"):
        load_encoder("mfcc", engine="rya")
    with pytest.raises(ConfigError, match=r"the engine `local` is this machine and takes no address.*ray://HOST:10001"):
        load_encoder("mfcc", engine="local://HOST:1")
    with pytest.raises(ConfigError, match="`jobs` must be 1 or more"):
        run_study(world[0], world[1], run, jobs=0)


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigError, match=r'needs Ray. Install it: pip install "timbrec\[ray\]"'), connected("ray"):
        pass


def test_an_address_where_nobody_answers_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    config = small_world.write(tmp_path, recommenders=["knn"])
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"ray://127.0.0.1:{closed.getsockname()[1]}"
    command = [sys.executable, "-m", "timbrec", "bench", str(config), "--engine", address]
    done = subprocess.run(command, capture_output=True, text=True, env=dict(os.environ), timeout=300, check=False)
    assert done.returncode == 2
    assert f"nobody answers at {address}" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("address", ["ray://", "ray://head", "ray://head:door"])
def test_an_address_without_a_port_is_refused(address: str) -> None:
    with pytest.raises(ConfigError, match="is no HOST:PORT"), connected(address):
        pass


def test_jobs_are_those_that_cores_and_memory_allow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(needs, "free_memory", lambda: 5 * GIB)
    monkeypatch.setattr(needs, "cores", lambda: 8)
    sizes = [GIB, 2 * GIB, GIB, GIB]
    assert jobs_that_fit(None, sizes) == 4
    assert jobs_that_fit(None, [3 * GIB] * 4) == 1
    assert jobs_that_fit(None, [9 * GIB]) == 1, "a single cell always runs"
    assert jobs_that_fit(3, sizes) == 3
    assert jobs_that_fit(9, sizes) == 4, "no more jobs than cells"
    with pytest.raises(ConfigError, match=r"3 jobs may take 9\.0 GiB .* and 5\.0 GiB are free\. Use --jobs 1\."):
        jobs_that_fit(3, [3 * GIB] * 4)


def test_the_memory_of_a_cell_counts_what_it_holds(world: Any) -> None:
    sizes = {item.label: memory_of(item, world[1]) for item in plan(*world)}
    items = world[1].split.test.train.n_items
    assert sizes["ease"] - sizes["random"] >= 3 * 8 * items**2 - 4 * 16 * items * 4
    assert sizes["hybrid"] > sizes["knn"] > 600 * 2**20


def test_jobs_that_need_more_memory_than_is_free_stop_before_work_starts(
    world: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(needs, "free_memory", lambda: GIB)
    run = Run.create(tmp_path, {}, world[1].split)
    with pytest.raises(ConfigError, match=r"2 jobs may take .* Use --jobs 1"):
        run_study(world[0], world[1], run, jobs=2)
    assert not list(tmp_path.glob("cells/*"))


def test_a_full_object_store_is_one_line() -> None:
    kinds = ["ObjectStoreFullError", "OutOfDiskError", "WorkerCrashedError", "ActorDiedError", "NodeDiedError"]
    errors = {name: type(name, (Exception,), {}) for name in [*kinds, "OutOfMemoryError"]}
    ray: Any = SimpleNamespace(exceptions=SimpleNamespace(**errors))
    full, lost = "object store of Ray is full; finished work is stored", "lost a worker several times .*Error: gone"
    for name in kinds:
        message = full if name in kinds[:2] else lost
        with pytest.raises(ConfigError, match=message), refusing_lost_work(ray):
            raise errors[name]("gone\nand more")


@pytest.mark.parametrize(
    "answer",
    [
        "RuntimeError: Starting Ray client server failed. See its log.",
        "Initialization failure from server:\nTraceback ...\npsutil.ZombieProcess: PID still exists",
    ],
)
@pytest.mark.parametrize(("failures", "joined"), [(2, True), (3, False)])
def test_a_busy_head_node_is_asked_again(failures: int, joined: bool, answer: str) -> None:
    calls: list[str] = []

    def init(address: str, **options: object) -> None:
        calls.append(address)
        if len(calls) <= failures:
            raise ConnectionAbortedError(answer)

    if joined:
        _join(SimpleNamespace(init=init), "ray://head:10001")  # type: ignore[arg-type]
    else:
        with pytest.raises(ConnectionAbortedError):
            _join(SimpleNamespace(init=init), "ray://head:10001")  # type: ignore[arg-type]
    assert calls == ["ray://head:10001"] * 3


def test_another_reason_is_no_reason_to_ask_again() -> None:
    calls: list[str] = []

    def init(address: str) -> None:
        calls.append(address)
        raise ConnectionError("versions differ")

    with pytest.raises(ConnectionError, match="versions differ"):
        _join(SimpleNamespace(init=init), "ray://head:10001")  # type: ignore[arg-type]
    assert len(calls) == 1


@pytest.mark.parametrize("address", ["127.0.0.1:9", "nonsense"])
def test_a_cluster_that_is_named_by_the_environment_and_not_there(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", address)
    with (
        pytest.raises(ConfigError, match=rf"no Ray cluster answers at RAY_ADDRESS \(e\.g\. '{address}'\)\. Correct it"),
        connected("ray://auto"),
    ):
        pass
