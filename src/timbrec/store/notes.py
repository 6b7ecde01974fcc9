"""Failures and remarks of the tracks of a store, kept for later runs; they survive a killed process."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from timbrec.errors import StoreError
from timbrec.files import write_atomically
from timbrec.places import place_of

NAME = "notes.jsonl"


class Note(NamedTuple):
    """Reason for a missing vector (`failed`), or a remark. `own`: the encoder failed, not the file."""

    failed: bool
    own: bool
    reason: str
    fix: str


class Record(NamedTuple):
    """Notes on a track, with the file (size, modification time, hash) and the version of the `reader` concerned."""

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
    """Records of a store, one line of JSON each; the last line of a track is valid.

    Lines are appended while files are read; `close` rewrites the file with one line per track. Unfinished lines of a
    killed process are ignored. Notes of a remote store are appended to a local file, and `close` writes the remote one
    together with what others wrote there meanwhile.
    """

    def __init__(self, folder: Path) -> None:
        self._place = place_of(folder)
        self._path, self._waiting, self._lines = self._place.work() / NAME, list[Record](), 0
        self.records: dict[str, Record] = {}
        self._changed: dict[str, Record] = {}
        if self._place.token:
            self.records = self._remote()
        if self._path.is_file():
            for line in self._path.read_bytes().splitlines():
                self._lines += 1
                if (record := _parsed(line)) is not None:
                    self._keep(record)

    def set(self, record: Record) -> None:
        """Replace the notes on a track; a track without old and new notes is not written."""
        if record.notes or record.id in self.records:
            self._waiting.append(record)
            self._keep(record)

    def flush(self) -> None:
        """Append new records to the file. Raises StoreError if it cannot be written."""
        waiting, self._waiting = self._waiting, []
        if waiting:
            self._lines += len(waiting)
            self._write(waiting, append=True)

    def close(self) -> None:
        """Write all records, one line per track."""
        self.flush()
        if self._place.token:
            self._publish()
        elif self._lines > len(self.records):
            self._write(list(self.records.values()), append=False)
            self._lines = len(self.records)

    def _remote(self) -> dict[str, Record]:
        """The records of a remote store."""
        try:
            lines = self._place.read(NAME).splitlines()
        except FileNotFoundError:
            return {}
        return {record.id: record for line in lines if (record := _parsed(line)) is not None}

    def _publish(self) -> None:
        """Write the remote file, and remove the local one."""
        if self._changed:
            known = self._remote() | self._changed
            self.records = {name: record for name, record in known.items() if record.notes}
            self._place.put(NAME, _lines(self.records.values()))
        self._path.unlink(missing_ok=True)
        self._changed, self._lines = {}, 0

    def _keep(self, record: Record) -> None:
        self._changed[record.id] = record
        if record.notes:
            self.records[record.id] = record
        else:
            self.records.pop(record.id, None)

    def _write(self, records: Sequence[Record], append: bool) -> None:
        content = _lines(records)
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


def _lines(records: Iterable[Record]) -> bytes:
    return "".join(json.dumps(record) + "\n" for record in records).encode()


def _parsed(line: bytes) -> Record | None:
    try:
        *facts, notes = json.loads(line)
        return Record._make([*facts, tuple(Note(*note) for note in notes)])
    except (ValueError, TypeError):
        return None
