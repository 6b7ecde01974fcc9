"""Tables that were read a moment ago: figures and the audit read each table of a run about twenty times."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl

_BYTES = 256 << 20


class Recent:
    """Tables by checksum, up to a total size in memory; the oldest ones leave first."""

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
