"""Which folders a process writes to, so that no other process moves their files away."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from timbrec.places.locations import is_remote
from timbrec.places.locks import locked

_MARK = ".in-use"


@contextmanager
def in_use(folder: Path) -> Iterator[bool]:
    """Mark a local folder as used within the `with` block; yields whether nobody else used it at the beginning.

    The mark ends with the process. Remote folders, and file systems without locks, count as used by nobody else.
    """
    if is_remote(folder):
        yield True
        return
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / _MARK).open("a+b") as handle:
        alone = locked(handle, exclusive=True)
        locked(handle, exclusive=False)
        yield alone
