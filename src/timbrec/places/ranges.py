"""Rows of an array in a remote file, read in ranges or from a local copy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from timbrec.places.cache import Cache
from timbrec.places.faults import reaching
from timbrec.places.place import Added
from timbrec.types import Array, Int

_REQUEST = 256 << 10  # bytes that take about as long as a request: nearer rows are read together
_SHARE = 4  # a file of at most this part of the cache is copied where most of it is read


class RemoteRows:
    """The array at the end of a remote file, indexed by rows.

    A file that is cached, or small beside the cache's limit and needed for the most part, is read from its local copy.
    Of other files, only the ranges of the requested rows are read.
    """

    def __init__(
        self, fs: Any, path: str, file: Added, dtype: str, shape: tuple[int, int], copy: Callable[[], Path]
    ) -> None:
        self.dtype, self.shape = np.dtype(dtype), shape
        self.itemsize, self.nbytes = self.dtype.itemsize, self.dtype.itemsize * shape[0] * shape[1]
        self._fs, self._path, self._file, self._copy = fs, path, file, copy
        self._header = file.bytes - self.nbytes
        self._mapped: Array | None = None

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Int[Array, "n"]) -> Array:
        if self._mapped is not None:
            return self._mapped[rows]
        distinct, places = np.unique(rows, return_inverse=True)
        starts, ends = self._runs(distinct)
        cost = int((ends - starts).sum()) * self._row_bytes + len(starts) * _REQUEST
        cache = Cache()
        small = self._file.bytes * _SHARE <= cache.limit
        if cache.find(self._file.sha256[:40], self._file.name) or (small and 2 * cost > self._file.bytes):
            self._mapped = np.memmap(self._copy(), self.dtype, "r", offset=self._header, shape=self.shape)
            return self._mapped[rows]
        return self._read(starts, ends, distinct)[places]

    @property
    def _row_bytes(self) -> int:
        return self.itemsize * self.shape[1]

    def _runs(self, rows: Int[Array, "n"]) -> tuple[Int[Array, "m"], Int[Array, "m"]]:
        """First rows and ends of ranges that hold ascending rows, and no gap that takes longer than a request."""
        near = max(1, _REQUEST // self._row_bytes)
        breaks = np.flatnonzero(np.diff(rows) > near)
        return rows[np.append(0, breaks + 1)], rows[np.append(breaks, len(rows) - 1)] + 1

    def _read(self, starts: Array, ends: Array, rows: Array) -> Array:
        """The given rows, ascending, from ranges that contain them."""
        low, high = (self._header + bounds * self._row_bytes for bounds in (starts, ends))
        url = self._fs.unstrip_protocol(self._path)
        with reaching(url):
            parts = self._fs.cat_ranges([self._path] * len(low), low.tolist(), high.tolist(), on_error="raise")
        content = np.frombuffer(b"".join(parts), self.dtype).reshape(-1, self.shape[1])
        before = np.append(0, np.cumsum(ends - starts))[:-1]  # rows in the ranges ahead
        run = np.searchsorted(ends, rows, side="right")
        return content[before[run] + rows - starts[run]]
