"""Reading the tags of many files in several processes, skipping files unchanged since the last time."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import polars as pl

from timbrec.audio.tags import Tags, read_tags
from timbrec.files import replacing
from timbrec.types import Progress

_FEW = 1_000  # files that one process reads before a second one has started
_VERSION = 2  # of the cache
_KEYS = {"path": pl.String, "size": pl.Int64, "modified": pl.Int64}
_SCHEMA = {name: pl.Float64 if name == "duration_s" else pl.String for name in Tags._fields}
_LOG = logging.getLogger(__name__)


def tags_of(paths: Sequence[Path], progress: Progress | None = None) -> pl.DataFrame:
    """A table with the fields of `Tags` and `readable`, one row per file, in the given order.

    Tags of files that have the size and the time of modification of the last call come from a cache in the user's
    folder of caches (XDG_CACHE_HOME, by default ~/.cache).
    """
    names = [os.fsencode(path).decode("latin-1") for path in paths]  # names need not be UTF-8
    keys = pl.DataFrame([(name, *_state(path)) for name, path in zip(names, paths, strict=True)], _KEYS, orient="row")
    cache = _cache_file(paths)
    known = _cached(cache)
    table = keys.join(known, on=list(_KEYS), how="left", maintain_order="left")
    missing = table["readable"].is_null()
    if missing.any():
        fresh = _read([path for path, unread in zip(paths, missing, strict=True) if unread], progress)
        fresh = keys.filter(missing).hstack(fresh)
        known = pl.concat([table.filter(~missing), fresh]).unique("path")
        _keep(known, cache)
        table = keys.join(known, on=list(_KEYS), how="left", maintain_order="left")
    return table.drop(_KEYS)


def serve() -> None:
    """Read the files named on standard input, separated by zero bytes; write their tags as lines of JSON."""
    for name in sys.stdin.buffer.read().split(b"\0"):
        sys.stdout.write(json.dumps(read_tags(os.fsdecode(name))) + "\n")
        sys.stdout.flush()


def _state(path: Path) -> tuple[int, int]:
    try:
        state = path.stat()
    except OSError:
        return -1, -1
    return state.st_size, state.st_mtime_ns


def _read(paths: Sequence[Path], progress: Progress | None) -> pl.DataFrame:
    """The tags of files as a table; large numbers are shared out to a process per core."""
    rows: list[Tags | None] = []
    workers = min(os.cpu_count() or 1, len(paths) // _FEW)
    if workers < 2:
        stream: Iterator[Tags | None] = map(read_tags, paths)
        rows = list(_counted(stream, len(paths), progress))
    else:
        step = -(-len(paths) // workers)
        shares = [paths[start : start + step] for start in range(0, len(paths), step)]
        done = [0]
        with ThreadPoolExecutor(len(shares)) as threads:
            parts = threads.map(lambda share: list(_counted(_in_process(share), len(paths), progress, done)), shares)
            rows = [row for part in parts for row in part]
    table = pl.DataFrame([row or Tags() for row in rows], schema=_SCHEMA, orient="row")
    return table.with_columns(readable=pl.Series([row is not None for row in rows], dtype=pl.Boolean))


def _counted(
    rows: Iterator[Tags | None], total: int, progress: Progress | None, done: list[int] | None = None
) -> Iterator[Tags | None]:
    """The rows; calls `progress` after every hundred."""
    done = [0] if done is None else done
    for row in rows:
        yield row
        done[0] += 1
        if progress is not None and (done[0] % 100 == 0 or done[0] == total):
            progress("reading tags", done[0], total)


def _in_process(paths: Sequence[Path]) -> Iterator[Tags | None]:
    """The tags of files, read by another process."""
    command = [sys.executable, "-c", "from timbrec.histories.tagging import serve; serve()"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(entry or os.getcwd() for entry in sys.path)}  # noqa: PTH109
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"\0".join(os.fsencode(path) for path in paths))
        process.stdin.close()
        for line in process.stdout:
            values = json.loads(line)
            yield None if values is None else Tags(*values)


def _cache_file(paths: Sequence[Path]) -> Path:
    """The cache of a folder's tags; it is named by the folder that all files share."""
    folder = os.path.commonpath([path.absolute().parent for path in paths]) if paths else ""
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return root / "timbrec" / f"tags-{_VERSION}-{hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]}.parquet"


def _cached(cache: Path) -> pl.DataFrame:
    empty = pl.DataFrame(schema=_KEYS | _SCHEMA | {"readable": pl.Boolean})
    try:
        table = pl.read_parquet(cache, glob=False)
    except (OSError, pl.exceptions.PolarsError):
        return empty
    return table.unique("path") if table.schema == empty.schema else empty


def _keep(table: pl.DataFrame, cache: Path) -> None:
    """Write the cache; a folder that cannot be written only costs time."""
    try:
        cache.parent.mkdir(parents=True, exist_ok=True)
        with replacing(cache) as partial:
            table.write_parquet(partial)
    except (OSError, pl.exceptions.PolarsError) as error:
        _LOG.info("the cache of tags cannot be written: %s", error)
