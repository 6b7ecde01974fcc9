"""Atomic files: written under a temporary name, flushed to disk, then renamed in one step."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from timbrec.errors import StoreError
from timbrec.files import aside, flush

Chunks = Iterable[bytes | memoryview]


@dataclass(frozen=True)
class File:
    """An immutable file of a store, as described in its manifest."""

    name: str
    bytes: int
    sha256: str

    def has_its_size(self, folder: Path) -> bool:
        """Whether the file exists with its original size; a cheap test for missing and torn files."""
        try:
            return (folder / self.name).stat().st_size == self.bytes
        except OSError:
            return False

    def is_intact(self, folder: Path) -> bool:
        """Whether the checksum is right; reads the whole file."""
        try:
            with (folder / self.name).open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest() == self.sha256
        except OSError:
            return False


def write_file(folder: Path, suffix: str, chunks: Chunks) -> File:
    """Write an immutable file, named by its checksum, so that writers cannot overwrite each other's files."""
    with _temporary(folder, chunks) as (path, sha256):
        file = File(f"{sha256[:32]}{suffix}", path.stat().st_size, sha256)
        path.replace(folder / file.name)
    return file


def write_once(folder: Path, name: str, content: bytes) -> bool:
    """Write a file unless one of that name exists; return whether it was written.

    A hard link, unlike a rename, fails when the name is taken: of several writers exactly one succeeds.
    """
    with _temporary(folder, [content]) as (path, _):
        try:
            os.link(path, folder / name)
        except FileExistsError:
            return False
    return True


@contextmanager
def _temporary(folder: Path, chunks: Chunks) -> Iterator[tuple[Path, str]]:
    """Yield a flushed temporary file and its checksum. Nothing reads the leftovers of a killed writer."""
    checksum = hashlib.sha256()
    try:
        with aside(folder / "file") as path:
            with path.open("xb") as file:
                for chunk in chunks:
                    file.write(chunk)
                    checksum.update(chunk)
                file.flush()
                os.fsync(file.fileno())
            yield path, checksum.hexdigest()
            flush(folder)
    except OSError as error:
        raise StoreError(
            f"cannot write into {folder}: {error.strerror}", fix="Check the free space and the permissions."
        ) from error
