from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from timbrec.places import location
from timbrec.places.locations import Remote
from timbrec.places.working import claim
from timbrec.study.mirror import Mirror


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of working copies, in a cache of 1,000 bytes."""
    monkeypatch.setenv("TIMBREC_CACHE", str(tmp_path))
    monkeypatch.setenv("TIMBREC_CACHE_LIMIT", "1 kB")
    return tmp_path / "work"


def used_at(folder: Path, hour: int, size: int = 400) -> Path:
    """A working copy of this size, used for the last time at this hour."""
    claim(folder)[1].close()
    (folder / "cells").mkdir(exist_ok=True)
    (folder / "cells" / "lists").write_bytes(bytes(size))
    os.utime(folder / ".used", (hour * 3600, hour * 3600))
    return folder


def present(work: Path) -> set[str]:
    return {path.name for path in work.iterdir() if path.is_dir()}


def test_the_working_copies_that_were_not_used_for_longest_are_removed(work: Path) -> None:
    used_at(work / "old", 2)
    used_at(work / "oldest", 1)
    used_at(work / "young", 3)
    with claim(work / "now")[1]:
        assert present(work) == {"old", "young", "now"}


def test_a_working_copy_in_use_stays_also_in_another_process(work: Path) -> None:
    _, handle = claim(used_at(work / "in use", 1, size=900))
    code = "import sys; from pathlib import Path; from timbrec.places.working import claim; claim(Path(sys.argv[1]))"
    for folder in (used_at(work / "idle", 2), work / "now"):
        subprocess.run([sys.executable, "-c", code, str(folder)], check=True)
    assert present(work) == {"in use", "now"}
    handle.close()


def test_processes_have_working_copies_of_their_own(work: Path) -> None:
    """Each removes the files of its copy that the bucket lacks: also those that another one is about to publish."""
    code = """
import sys
from pathlib import Path
from timbrec.places.working import claim
print(claim(Path(sys.argv[1]))[0].name, end="")
"""

    def elsewhere() -> str:
        command = [sys.executable, "-c", code, str(work / "run")]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    first, handle = claim(work / "run")
    assert (first, handle) == claim(work / "run"), "runs of one process share theirs"
    assert first == work / "run"
    assert elsewhere() == "run-2"
    assert elsewhere() == "run-2", "the other process has ended"
    handle.close()
    assert elsewhere() == "run"


def test_checkpoints_and_journals_are_never_removed(work: Path) -> None:
    (used_at(work / "run", 1, size=2000) / "training").mkdir()
    (work / "run" / "training" / "checkpoint").write_bytes(bytes(2000))
    (work / "store").mkdir()
    (work / "store" / "journal").write_bytes(bytes(2000))
    claim(work / "now")[1].close()
    left = {str(path.relative_to(work)) for path in work.rglob("*") if path.is_file()}
    assert left == {".lock", "now/.used", "run/training/checkpoint", "store/journal"}


def test_opening_a_run_in_a_bucket_uses_its_working_copy(work: Path) -> None:
    run = location("memory://bucket/run")
    assert isinstance(run, Remote)
    used_at(work / "other", 1, size=2000)
    mirror = Mirror(run)
    assert present(work) == {mirror.work.name}
    (mirror.work / "page").write_bytes(bytes(2000))
    claim(work / "now")[1].close()
    assert mirror.work.name in present(work)
    del mirror
    claim(work / "now")[1].close()
    assert present(work) == {"now"}
