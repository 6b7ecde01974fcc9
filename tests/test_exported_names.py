"""The public names: complete, typed, importable, and free to import."""

from __future__ import annotations

import subprocess
import sys

import pytest

import timbrec

PUBLIC = {
    "Config", "Inputs", "Model", "Result", "TimbrecError", "__version__", "add_audio", "audit_all", "bench", "compare",
    "compare_published", "fit", "fit_music", "fit_run", "load_inputs", "make_config", "read_config",
}  # fmt: skip


def test_the_public_names_are_these() -> None:
    assert set(timbrec.__all__) == PUBLIC
    assert {name for name in dir(timbrec) if not name.startswith("_")} == PUBLIC - {"__version__"}
    assert len(timbrec.__all__) == len(set(timbrec.__all__))


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_every_public_name_can_be_imported(name: str) -> None:
    value = getattr(timbrec, name)
    assert value.__doc__
    assert name == "__version__" or value.__module__.startswith("timbrec")


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'timbrec' has no attribute 'bnech'"):
        timbrec.bnech  # noqa: B018 - the access is the test


def test_importing_timbrec_loads_none_of_its_parts() -> None:
    code = (
        "import sys, timbrec; print([name for name in sys.modules if name.startswith('timbrec.') or name == 'torch'])"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"
