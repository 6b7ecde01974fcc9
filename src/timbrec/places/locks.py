"""Locks between processes, also on file systems that know none."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from filelock import BaseFileLock, FileLock, SoftFileLock, Timeout

_LOCKLESS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)  # such as NFS without a lock daemon


def lock(path: Path, *, blocking: bool = True) -> BaseFileLock:
    """A lock that this process holds until `release`, or until the process ends; `path` is its file.

    On file systems without locks, a second file exists while the lock is held; one of a dead process counts as free.
    Raises filelock's Timeout for a lock that another process holds, unless `blocking`; and OSError.
    """
    held: BaseFileLock = FileLock(path, thread_local=False)
    try:
        held.acquire(blocking=blocking)
    except Timeout:
        raise
    except OSError as error:
        if error.errno not in _LOCKLESS:
            raise
        held = SoftFileLock(f"{path}.held", thread_local=False)
        held.acquire(blocking=blocking)
    return held


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Hold the lock of this file within the `with` block, after waiting for it."""
    held = lock(path)
    try:
        yield
    finally:
        held.release()


def locked(handle: BinaryIO, exclusive: bool) -> bool:
    """Lock an open file for as long as it is open; False if others hold it. Without file locks, always True.

    The lock may be missing in the system or in the file system.
    """
    try:
        import fcntl
    except ImportError:
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB if exclusive else fcntl.LOCK_SH)
    except OSError as error:
        return error.errno in _LOCKLESS
    return True
