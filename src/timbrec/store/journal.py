"""Append-only file of a store with the entries since the last commit, which survive a killed process."""

from __future__ import annotations

import hashlib
import json
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from filelock import Timeout

from timbrec.errors import StoreError
from timbrec.places.locks import lock
from timbrec.types import Array, Float32

_HEAD = struct.Struct("<I16s")  # bytes that follow, their checksum
NAME = "journal"


class Entry(NamedTuple):
    """A track (see `TRACKS`), and the vector of its audio if it is new."""

    id: str
    audio: str | None
    size: int
    mtime: int
    file: str
    path: str = ""
    vector: Float32[Array, "dim"] | None = None


class Journal:
    """Entries since the last commit. One process holds the journal at a time; its lock ends with the process.

    Each entry has a length and a checksum, so that the torn entry of a killed writer is detected and removed. Entries
    survive a killed process but not a power cut, since only commits are flushed to disk. Raises StoreError if another
    process holds the journal, and if the disk is full; the file then stays unchanged.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / NAME
        self._file = self._opened()
        self._size = sum(_HEAD.size + len(body) for body in self._bodies())
        os.ftruncate(self._file, self._size)

    def __iter__(self) -> Iterator[Entry]:
        """Iterate over all entries in their order of arrival."""
        for body in self._bodies():
            facts, _, values = body.partition(b"\n")
            entry = Entry(*json.loads(facts))
            yield entry._replace(vector=np.frombuffer(values, "<f4")) if values else entry

    def append(self, entries: list[Entry]) -> None:
        """Write entries, all or none."""
        content = b"".join(map(_framed, entries))
        try:
            done = 0
            while done < len(content):
                done += os.pwrite(self._file, content[done:], self._size + done)
        except OSError as error:
            os.ftruncate(self._file, self._size)
            raise StoreError(
                f"cannot write into {self._path.parent}: {error.strerror}",
                fix="Free some space; the same command then resumes. All earlier vectors are kept.",
            ) from error
        self._size += len(content)

    def clear(self) -> None:
        """Remove all entries, after their commit."""
        os.ftruncate(self._file, 0)
        self._size = 0

    def close(self) -> None:
        """Release the lock, and remove an empty file."""
        if not self._size:
            self._path.unlink(missing_ok=True)
        os.close(self._file)
        self._lock.release()

    def _opened(self) -> int:
        """Lock and open the file; the system releases the lock when the process ends."""
        try:
            self._lock = lock(self._path.with_name(".lock"), blocking=False)
            return os.open(self._path, os.O_RDWR | os.O_CREAT, 0o666)
        except Timeout:
            raise StoreError(f"another run is writing into {self._path.parent}", fix="Wait for it.") from None
        except OSError as error:
            raise StoreError(
                f"cannot write into {self._path.parent}: {error.strerror}", fix="Check the space and the permissions."
            ) from error

    def _bodies(self) -> Iterator[bytes]:
        """Yield the bodies of intact entries, up to the first torn one."""
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
