"""Working copies of runs in buckets: folders in the user's cache, up to its limit."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from itertools import chain, count
from pathlib import Path
from typing import BinaryIO
from weakref import WeakValueDictionary

from timbrec.places.cache import cache_limit, removed
from timbrec.places.locks import alone, locked

_USED = ".used"  # marks a working copy; its time is that of the last use
_held: WeakValueDictionary[Path, BinaryIO] = WeakValueDictionary()  # marks that this process has locked
_KEPT = "training"  # checkpoints of interrupted trainings, which are nowhere else


def claim(folder: Path) -> tuple[Path, BinaryIO]:
    """Mark a folder as this process's working copy, and remove others beyond the cache's limit.

    Returns the folder, or `folder-2` and so on where other processes use the ones before, and a file: the folder is in
    use while it is open. The working copies that were not used for longest leave first; those that a process uses stay,
    and so do checkpoints of interrupted trainings.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with alone(folder.parent / ".lock"):
        places = (folder.with_name(f"{folder.name}-{number}") for number in count(2))
        place, handle = next(filter(None, map(_taken, chain([folder], places))))
        os.utime(place / _USED)
        _trim(folder.parent)
    return place, handle


def _taken(folder: Path) -> tuple[Path, BinaryIO] | None:
    """The folder and its mark, locked by this process; None if another one has it."""
    handle = _held.get(folder)
    if handle is None or handle.closed:
        folder.mkdir(exist_ok=True)
        handle = (folder / _USED).open("a+b")
        if not locked(handle, exclusive=True):
            handle.close()
            return None
        _held[folder] = handle
    return folder, handle


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
