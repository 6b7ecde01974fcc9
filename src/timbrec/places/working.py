"""Working copies of runs in buckets: folders in the user's cache, up to its limit."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from timbrec.places.cache import cache_limit, locked, removed
from timbrec.places.locks import alone

_USED = ".used"  # marks a working copy; its time is that of the last use
_KEPT = "training"  # checkpoints of interrupted trainings, which are nowhere else


def claim(folder: Path) -> BinaryIO:
    """Mark a folder as a working copy in use, and remove others beyond the cache's limit.

    The folder is in use while the returned file is open. The working copies that were not used for longest leave first;
    those that a process uses stay, and so do checkpoints of interrupted trainings.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with alone(folder.parent / ".lock"):
        handle = (folder / _USED).open("a+b")
        locked(handle, exclusive=False)
        os.utime(folder / _USED)
        _trim(folder.parent)
    return handle


def _trim(root: Path) -> None:
    """Remove working copies until all together take at most the cache's limit."""
    copies = sorted(_copies(root))
    total = sum(size for _, size, _ in copies)
    for _, size, folder in copies:
        if total <= cache_limit():
            return
        if removed(folder / _USED):
            _empty(folder)
            total -= size


def _copies(root: Path) -> Iterator[tuple[int, int, Path]]:
    """The time of last use (nanoseconds since 1970), the size in bytes, and the folder of every working copy."""
    for mark in root.glob(f"*/{_USED}"):
        paths = mark.parent.rglob("*")
        yield mark.stat().st_mtime_ns, sum(path.stat().st_size for path in paths if path.is_file()), mark.parent


def _empty(folder: Path) -> None:
    """Remove a working copy, except the checkpoints of interrupted trainings."""
    for path in folder.iterdir():
        if path.is_dir() and path.name != _KEPT:
            shutil.rmtree(path, ignore_errors=True)
        elif path.is_file():
            path.unlink()
    with suppress(OSError):  # it still holds checkpoints
        folder.rmdir()
