"""Atomic writing: a reader sees either the old or the new content of a file or folder, never a part."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

_NO_FLUSH = (errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)  # of file systems for their folders
_TRIES = 10
_ASIDE = re.compile(r"\.[0-9a-f]{12}-(.+)")


@contextmanager
def aside(path: Path) -> Iterator[Path]:
    """Yield an unused hidden path beside `path`; remove any file or folder left there when the block ends.

    An error of the system inside the block names the path, also if it comes from a library without one.
    """
    partial = path.with_name(f".{uuid4().hex[:12]}-{path.name[-60:]}")
    try:
        yield partial
    except Exception as error:
        if (number := system_error(error)) is None:
            raise
        if isinstance(error, OSError) and error.errno is not None:
            error.filename = error.filename or str(partial)
            raise
        raise OSError(number, os.strerror(number), str(partial)) from error
    finally:
        _remove(partial)


def final(path: Path) -> Path:
    """The path that a file written `aside` takes in the end; other paths as they are."""
    name = _ASIDE.fullmatch(path.name)
    return path.with_name(name[1]) if name else path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a hidden path beside `path` to write to; when the block ends well, it takes the place of `path`.

    Works for files and for folders. An error in the block removes the partial copy and leaves `path` as it was.
    """
    with aside(path) as partial:
        yield partial
        if not partial.is_dir():  # a file never replaces a folder
            partial.replace(path)
            return
        for left in reversed(range(_TRIES)):  # another process may put a folder there at the same moment
            with aside(path) as former:
                if path.is_dir():
                    with suppress(FileNotFoundError):
                        path.rename(former)
                try:
                    partial.replace(path)
                    return
                except OSError as error:
                    if not left or error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                        raise


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write a text (as UTF-8) or binary file in one step."""
    with replacing(path) as partial:
        partial.write_bytes(content.encode() if isinstance(content, str) else content)


def checksum(path: Path) -> str:
    """The SHA-256 of a file's content, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def system_error(error: Exception) -> int | None:
    """The number of a system's error; None for other errors. Polars has it in its message only."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno
    number = re.search(r"\(os error (\d+)\)", str(error))
    return int(number[1]) if number else None


def reason_of(error: Exception) -> str:
    """The reason that the system gave for an error, without the words of the libraries around it."""
    text = str(getattr(error, "strerror", None) or error).partition("\n")[0]
    system = re.search(r"([^:]+) \(os error \d+\)", text)
    return system[1].strip() if system else text


def flush(path: Path) -> None:
    """Make a file's content, or the names in a folder, survive a power cut."""
    if os.name != "posix" and path.is_dir():  # other systems cannot open a folder
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if not (path.is_dir() and error.errno in _NO_FLUSH):
            raise
    finally:
        os.close(handle)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
