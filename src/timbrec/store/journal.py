"""An append-only file beside a store: the tracks and vectors since its last commit, safe from a killed process."""

from __future__ import annotations

import hashlib
import json
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from filelock import FileLock, Timeout

from timbrec.errors import StoreError
from timbrec.types import Array, Float32

_HEAD = struct.Struct("<I16s")  # bytes that follow, their checksum
NAME = "journal"


class Entry(NamedTuple):
    """A track (see `TRACKS`), and the vector of its audio if that is new."""

    id: str
    audio: str | None
    size: int
    mtime: int
    file: str
    path: str = ""
    vector: Float32[Array, "dim"] | None = None


class Journal:
    """The entries since the last commit. One process holds it at a time; its lock ends with the process.

    An entry is written with its length and its checksum, so that an entry of a killed writer is found and cut off.
    Entries outlive the process, not a power cut: only commits are flushed to the disk. Raises StoreError where another
    process holds it, and where the disk is full: then the file is as it was before.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / NAME
        self._lock = FileLock(folder / ".lock", thread_local=False)
        self._file = self._opened()
        self._size = sum(_HEAD.size + len(body) for body in self._bodies())
        os.ftruncate(self._file, self._size)

    def __iter__(self) -> Iterator[Entry]:
        """All entries, in the order they came."""
        for body in self._bodies():
            facts, _, values = body.partition(b"\n")
            entry = Entry(*json.loads(facts))
            yield entry._replace(vector=np.frombuffer(values, "<f4")) if values else entry

    def append(self, entries: list[Entry]) -> None:
        """Write entries, all or nothing."""
        content = b"".join(map(_framed, entries))
        try:
            done = 0
            while done < len(content):
                done += os.pwrite(self._file, content[done:], self._size + done)
        except OSError as error:
            os.ftruncate(self._file, self._size)
            raise StoreError(
                f"cannot write into {self._path.parent}: {error.strerror}",
                fix="Check the free space. What was encoded before is kept: the same command goes on from there.",
            ) from error
        self._size += len(content)

    def clear(self) -> None:
        """Forget all entries, once they are committed."""
        os.ftruncate(self._file, 0)
        self._size = 0

    def close(self) -> None:
        """Let another process open it; an empty file is removed."""
        if not self._size:
            self._path.unlink(missing_ok=True)
        os.close(self._file)
        self._lock.release()

    def _opened(self) -> int:
        """The file, while this process holds its lock, which the system releases when the process ends."""
        try:
            self._lock.acquire(blocking=False)
            return os.open(self._path, os.O_RDWR | os.O_CREAT, 0o666)
        except Timeout:
            raise StoreError(f"another run is writing into {self._path.parent}", fix="Wait for it.") from None
        except OSError as error:
            raise StoreError(f"cannot write into {self._path.parent}: {error.strerror}", fix="Check it.") from error

    def _bodies(self) -> Iterator[bytes]:
        """The bodies of the entries that are whole."""
        place = 0
        while len(head := os.pread(self._file, _HEAD.size, place)) == _HEAD.size:
            length, checksum = _HEAD.unpack(head)
            body = os.pread(self._file, length, place + _HEAD.size)
            if len(body) < length or _checksum(body) != checksum:
                return
            yield body
            place += _HEAD.size + length


def _framed(entry: Entry) -> bytes:
    values = b"" if entry.vector is None else entry.vector.astype("<f4").tobytes()
    body = json.dumps(entry[:-1]).encode() + b"\n" + values
    return _HEAD.pack(len(body), _checksum(body)) + body


def _checksum(body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=16).digest()
