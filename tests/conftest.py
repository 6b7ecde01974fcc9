"""Settings and fixtures of all tests. Shapes and types in signatures are checked at every call while tests run."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

import jaxtyping
import pytest
from hypothesis import settings

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
