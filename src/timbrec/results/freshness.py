"""Dependencies of stored tables: a table is reused only while nothing it was made from has changed."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from timbrec.errors import DataError
from timbrec.files import checksum, write_atomically
from timbrec.machine.versions import code_digest
from timbrec.study.digests import digests
from timbrec.study.identity import digest_of
from timbrec.study.runs import Run

TABLES = "tables"  # the folder of further tables
PAGE = "page.json"  # the record of the page


def write_record(run: Run, name: str, files: Sequence[Path], **more: Any) -> None:
    """Write `name` into the run's folder: digests of run and code, hashes of these files, and `more`."""
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


def beside_cells(run: Run) -> dict[str, str]:
    """Checksums of the files in a run's folder, apart from cells and from the page's own record."""
    folders = (run.folder, run.folder / TABLES)
    files = [path for folder in folders for path in sorted(folder.glob("[!.]*")) if path.is_file()]
    return _checksums(run, [path for path in files if path.name != PAGE])


def keep_rows(run: Run, name: str, inputs: Sequence[object], compute: Callable[[], pl.DataFrame]) -> None:
    """Write a table into the run's folder, unless it is stored already for these inputs and this code."""
    path, state = run.folder / name, digest_of(*inputs, code_digest())
    if path.is_file() and json.loads(path.read_text())["depends on"] == state:
        return
    write_atomically(path, json.dumps({"depends on": state, "rows": compute().to_dicts()}, indent=1))


def kept_rows(run: Run, name: str, schema: dict[str, Any]) -> pl.DataFrame | None:
    """The table that `keep_rows` wrote last; None for a run without it. Raises DataError for a damaged file."""
    path = run.folder / name
    if not path.is_file():
        return None
    try:
        return pl.DataFrame(json.loads(path.read_text())["rows"], schema=schema)
    except (ValueError, KeyError) as error:
        raise DataError(f"{path} cannot be read: {error}", fix="Run the benchmark again.") from error


def _checksums(run: Run, files: Sequence[Path]) -> dict[str, str]:
    """Current hashes of the files, so that an edited file is not mistaken for the one we wrote."""
    return {path.relative_to(run.folder).as_posix(): checksum(path) for path in files}
