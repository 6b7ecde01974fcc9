"""Checks of the code beside other work: they start only where they save time, and never outlive the block."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from timbrec.audit import CHECKS, audit_code, beside
from timbrec.audit.beside import code_checked_beside
from timbrec.audit.run import unchecked


def note() -> None:
    """Leave a file in the folder for caches, as a check does."""
    Path(os.environ["XDG_CACHE_HOME"], "checked").touch()


def sleep() -> None:
    """Outlast the test."""
    note()
    time.sleep(600)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("TIMBREC_CODE_CHECKS", "on")
    return tmp_path


def test_the_block_ends_after_the_checks(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beside, "_check", note)
    steps: list[str] = []
    with code_checked_beside(lambda step, done, total: steps.append(step)):
        pass
    assert (cache / "checked").exists()
    assert steps == ["audit: checks of the code"]


def test_an_error_in_the_block_ends_the_checks(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beside, "_check", sleep)
    started = time.perf_counter()
    with pytest.raises(KeyboardInterrupt), code_checked_beside():
        raise KeyboardInterrupt
    assert time.perf_counter() - started < 60


def test_nothing_starts_where_checks_are_off_cached_or_too_large(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beside, "_check", note)
    with monkeypatch.context() as changed:
        changed.setenv("TIMBREC_CODE_CHECKS", "off")
        with code_checked_beside():
            pass
    with monkeypatch.context() as changed:
        changed.setattr(beside, "free_memory", lambda: 2**30)
        with code_checked_beside():
            pass
    with monkeypatch.context() as changed:
        changed.setattr("timbrec.audit.run.is_cached", lambda key: True)
        with code_checked_beside():
            pass
    assert not (cache / "checked").exists()


@pytest.mark.slow
def test_checks_that_passed_beside_are_in_the_cache(cache: Path) -> None:
    assert unchecked() == [check.name for check in CHECKS if check.of_code]
    with code_checked_beside():
        pass
    assert unchecked() == []
    started = time.process_time()
    assert all(finding.passed for finding in audit_code())
    assert time.process_time() - started < 10
