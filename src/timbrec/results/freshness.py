"""Records of the dependencies of stored tables: a table is read again only while nothing has changed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from timbrec.files import checksum, write_atomically
from timbrec.study.digests import digests
from timbrec.study.runs import Run


def write_record(run: Run, name: str, files: Sequence[Path], **more: Any) -> None:
    """Write `name` into the run's folder: digests of run and code, hashes of these files of the run, and `more`."""
    state = {"depends on": digests(run), "files": _checksums(run, files)} | more
    write_atomically(run.folder / name, json.dumps(state, indent=1))


def read_record(run: Run, name: str) -> dict[str, Any] | None:
    """The record; None without one, or where the run, the code or one of the files changed since it was written."""
    try:
        state: dict[str, Any] = json.loads((run.folder / name).read_text())
        files = [run.folder / path for path in state["files"]]
        fresh = state["depends on"] == digests(run) and state["files"] == _checksums(run, files)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return state if fresh else None


def _checksums(run: Run, files: Sequence[Path]) -> dict[str, str]:
    """Hashes of the files as they are now, so that an edited one is not taken for ours."""
    return {path.relative_to(run.folder).as_posix(): checksum(path) for path in files}
