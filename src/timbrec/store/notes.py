"""Failures and remarks of a store's tracks: known on the next run, and safe from a killed process."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from timbrec.errors import StoreError
from timbrec.files import write_atomically

NAME = "notes.jsonl"


class Note(NamedTuple):
    """Why a track has no vector (`failed`), or a remark on its file; `own`: the encoder's failure, not the file's."""

    failed: bool
    own: bool
    reason: str
    fix: str


class Record(NamedTuple):
    """The notes on a track, and the file (size, time of change, hash) and the `reader` of audio that they are about."""

    id: str
    size: int
    mtime: int
    file: str
    reader: str
    notes: tuple[Note, ...]

    @property
    def failed(self) -> bool:
        """Whether the track has no vector."""
        return any(note.failed for note in self.notes)


class Notes:
    """The records of a store, one line of JSON each; the last line of a track counts.

    Lines are appended while files are read, and put together by `close`. A line that a killed process left unfinished
    is not read.
    """

    def __init__(self, folder: Path) -> None:
        self._path, self._waiting, self._lines = folder / NAME, list[Record](), 0
        self.records: dict[str, Record] = {}
        if self._path.is_file():
            for line in self._path.read_bytes().splitlines():
                self._lines += 1
                if (record := _parsed(line)) is not None:
                    self._keep(record)

    def set(self, record: Record) -> None:
        """Replace the notes on a track; nothing is written for a track that had none and has none."""
        if record.notes or record.id in self.records:
            self._waiting.append(record)
            self._keep(record)

    def flush(self) -> None:
        """Append what was set. Raises StoreError where it cannot be written."""
        waiting, self._waiting = self._waiting, []
        if waiting:
            self._lines += len(waiting)
            self._write(waiting, append=True)

    def close(self) -> None:
        """Write what was set, with one line per track."""
        self.flush()
        if self._lines > len(self.records):
            self._write(list(self.records.values()), append=False)
            self._lines = len(self.records)

    def _keep(self, record: Record) -> None:
        if record.notes:
            self.records[record.id] = record
        else:
            self.records.pop(record.id, None)

    def _write(self, records: Sequence[Record], append: bool) -> None:
        content = "".join(json.dumps(record) + "\n" for record in records).encode()
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            if append:
                with self._path.open("ab") as file:
                    file.write(content)
            else:
                write_atomically(self._path, content)
        except OSError as error:
            raise StoreError(
                f"cannot write into {self._path.parent}: {error.strerror}", fix="Check the space and the permissions."
            ) from error


def _parsed(line: bytes) -> Record | None:
    try:
        *facts, notes = json.loads(line)
        return Record._make([*facts, tuple(Note(*note) for note in notes)])
    except (ValueError, TypeError):
        return None
