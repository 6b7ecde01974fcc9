"""Contents of files read recently: figures and the audit read each file of a run about twenty times."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import polars as pl

T = TypeVar("T")

_BYTES = 256 << 20


class Recent:
    """Tables by checksum, up to a total size in memory; the oldest leave first."""

    def __init__(self, limit: int = _BYTES) -> None:
        self._limit, self._bytes = limit, 0
        self._tables: dict[str, pl.DataFrame] = {}

    def get(self, checksum: str, read: Callable[[], pl.DataFrame]) -> pl.DataFrame:
        """The table with this checksum, read if it is not in memory. A table above the limit is not kept."""
        if checksum in self._tables:
            return self._tables[checksum]
        table = read()
        self._bytes += int(table.estimated_size())
        self._tables[checksum] = table
        while self._bytes > self._limit:
            self._bytes -= int(self._tables.pop(next(iter(self._tables))).estimated_size())
        return table


class Unchanged:
    """Values read from files, read again only where a file's size, modification time or inode changed."""

    def __init__(self) -> None:
        self._values: dict[tuple[Path, str], tuple[tuple[int, ...], Any]] = {}

    def get(self, path: Path, read: Callable[[Path], T]) -> T:
        """`read(path)`, or its earlier value. Callers must not change the value. Raises OSError without a file."""
        state = path.stat()
        key, version = (path, read.__qualname__), (state.st_size, state.st_mtime_ns, state.st_ino)
        known = self._values.get(key)
        if known is None or known[0] != version:
            known = self._values[key] = (version, read(path))
        value: T = known[1]
        return value
