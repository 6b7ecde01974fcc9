"""Settings and fixtures of all tests. Shapes and types in signatures are checked at every call while tests run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import jaxtyping
import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from timbrec.places.locations import Remote

jaxtyping.install_import_hook("timbrec", "beartype.beartype")  # before anything of timbrec is imported

os.environ.setdefault("TIMBREC_CODE_CHECKS", "off")  # half a minute per benchmark; tests of the audit turn them on

settings.register_profile("timbrec", deadline=None, derandomize=True, max_examples=60)
settings.load_profile("timbrec")


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder of outside data, which no one may redistribute."""
    folder = os.environ.get("TIMBREC_TEST_DATA")
    if not folder:
        pytest.skip("TIMBREC_TEST_DATA does not name the folder of outside data")
    return Path(folder)


@pytest.fixture(scope="session")
def golden() -> Path:
    """Values made by other implementations, committed with the tests."""
    return Path(__file__).parent / "data"


@pytest.fixture(scope="session")
def package() -> Path:
    """The folder of the installed package with MusiCNN's and VGG's weights."""
    spec = find_spec("musicnn")
    if spec is None or spec.submodule_search_locations is None:
        pytest.skip("the weights are not installed: pip install --no-deps musicnn")
    return Path(spec.submodule_search_locations[0])


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """The address of moto's server, which honours conditional puts, also in races."""
    import logging

    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto.start()
    host, port = moto.get_host_and_port()
    yield f"http://{host}:{port}"
    moto.stop()


@pytest.fixture
def bucket(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Remote:
    """A new bucket, with credentials in the environment and an empty local cache."""
    from timbrec.places.locations import Remote

    settings = {"AWS_ENDPOINT_URL": server, "AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any",
                "AWS_DEFAULT_REGION": "us-east-1", "TIMBREC_CACHE": str(tmp_path / "cache")}  # fmt: skip
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    path = Remote(f"s3://music-{uuid4().hex[:8]}")
    path.fs.mkdir(path.key)
    return path
