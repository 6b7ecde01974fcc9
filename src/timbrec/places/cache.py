"""The user's cache folder, and local copies of remote files in it, up to a total size."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from timbrec.errors import ConfigError, PlaceError
from timbrec.places.locks import alone, locked

LIMIT = "20 GB"
_TRIES = 5  # a copy may be removed by other processes before it is locked
_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?)I?B?\s*", re.IGNORECASE)


def user_cache() -> Path:
    """The cache folder: TIMBREC_CACHE, or `timbrec` in the platform's folder for caches."""
    if own := os.environ.get("TIMBREC_CACHE"):
        return Path(own).expanduser()
    if configured := os.environ.get("XDG_CACHE_HOME"):
        base = Path(configured)
    elif sys.platform == "win32" and (data := os.environ.get("LOCALAPPDATA")):
        base = Path(data)
    else:
        home = os.environ.get("HOME")
        base = (Path(home) if home else Path.home()) / ("Library/Caches" if sys.platform == "darwin" else ".cache")
    return base / "timbrec"


def cache_limit() -> int:
    """The number of bytes that copies may take: TIMBREC_CACHE_LIMIT, such as "500 MB". Raises ConfigError."""
    text = os.environ.get("TIMBREC_CACHE_LIMIT", LIMIT)
    if (size := _SIZE.fullmatch(text)) is None:
        raise ConfigError("TIMBREC_CACHE_LIMIT is no size", example=text, fix=f"Write it as in {LIMIT!r}.")
    return int(float(size[1]) * _UNITS[size[2].upper()])


@dataclass(frozen=True)
class Pinned:
    """A cached file. It is kept while `handle` is open, and may be removed afterwards."""

    path: Path
    handle: BinaryIO


class Cache:
    """Copies of remote files by key. The least recently used leave first; files in use stay.

    Safe beside other processes: a copy appears in one rename, and a file in use carries a lock that ends with the
    process. Times of use come from this machine's clock.
    """

    def __init__(self) -> None:
        self.folder = user_cache() / "objects"
        self.limit = cache_limit()

    def get(self, key: str, name: str, size: int, fill: Callable[[Path], None]) -> Pinned:
        """The copy under `key`, called `name`; `fill` writes the file if it is not there yet.

        Raises PlaceError if the file, together with the files in use, is larger than the limit, or if other processes
        remove the copy each time before it can be used.
        """
        for _ in range(_TRIES):
            if pinned := self.find(key, name):
                return pinned
            self._make_room(size, name)
            partial = self.folder / f".{uuid4().hex[:12]}"
            partial.mkdir(parents=True)
            try:
                fill(partial / name)
                with suppress(OSError):  # another process was first
                    partial.rename(self._slot(key, name))
            finally:
                shutil.rmtree(partial, ignore_errors=True)
        raise PlaceError(f"the copy of {name} does not stay in the cache {self.folder}",
                         fix="Raise TIMBREC_CACHE_LIMIT, and check that the folder can be written.")  # fmt: skip

    def find(self, key: str, name: str) -> Pinned | None:
        """The copy under `key`; None without one."""
        path = self._slot(key, name) / name
        with suppress(FileNotFoundError):
            handle = path.open("rb")
            if locked(handle, exclusive=False) and os.fstat(handle.fileno()).st_nlink:
                os.utime(path)
                return Pinned(path, handle)
            handle.close()
        return None

    def _slot(self, key: str, name: str) -> Path:
        """The folder of one copy. Equal files share a key, so it depends on the name too."""
        return self.folder / f"{key}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"

    def _make_room(self, size: int, name: str) -> None:
        """Remove copies until `size` more bytes fit."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with alone(self.folder / ".lock"):
            entries = sorted(self._entries())
            total = sum(held for _, held, _ in entries)
            for _, held, path in entries:
                if total + size <= self.limit:
                    return
                total -= held if removed(path) else 0
        if total + size > self.limit:
            raise PlaceError(
                f"the cache has no room for {name}: it takes {size / 1e6:,.1f} MB, files in use {total / 1e6:,.1f} MB, "
                f"and the limit is {self.limit / 1e6:,.1f} MB",
                fix="Raise TIMBREC_CACHE_LIMIT.",
            )

    def _entries(self) -> Iterator[tuple[int, int, Path]]:
        """Time of last use, size and path of every copy."""
        for path in self.folder.glob("[!.]*/*"):
            with suppress(FileNotFoundError):
                state = path.stat()
                yield state.st_mtime_ns, state.st_size, path


def removed(path: Path) -> bool:
    """Remove a copy, unless a process uses it; returns whether it is gone."""
    try:
        with path.open("rb") as handle:
            if not locked(handle, exclusive=True):
                return False
            path.unlink()
    except FileNotFoundError:
        return True
    except OSError:  # other systems refuse to remove an open file
        return False
    with suppress(OSError):
        path.parent.rmdir()
    return True
