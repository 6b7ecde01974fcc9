"""An output while it is being filled: the tracks and notes of its store, and additions to them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cached_property

import av
import numpy as np
import polars as pl

from timbrec.audio.file import NAMED, VERSION
from timbrec.embed.outputs import Output
from timbrec.embed.tracks import Track, text
from timbrec.store import Entry, TrackStore
from timbrec.store.manifest import newest
from timbrec.store.notes import Note, Notes, Record
from timbrec.types import Array, Float32

UNKNOWN = -1
READER = f"{VERSION}, PyAV {av.__version__}"  # notes of another reader are not relied on
File = tuple[int, int, str]  # size, time of change (ns), hash


class Target:
    """The store of an output, opened for writing. A missing store is made once its vectors' length is known.

    Files that failed before and have not changed count as failed, unless `retry` asks to read them again.
    """

    def __init__(self, output: Output, ids: str = "", retry: bool = False) -> None:
        self.output, self._ids, self._retry = output, ids, retry
        self._store: TrackStore | None = None
        exists = next(output.store.glob("manifest-*.json"), None)
        dim = output.dim or (newest(output.store).info.dim if exists else None)
        if dim:
            self._open(dim)
        self.notes = Notes(output.store)

    @property
    def kind(self) -> tuple[int | None, str]:
        """The layer and the pool."""
        return self.output.layer, self.output.pool

    @property
    def tracks(self) -> pl.DataFrame:
        """The tracks that have vectors (see `TRACKS`)."""
        return pl.DataFrame(schema={"id": pl.String}) if self._store is None else self._store.tracks

    @cached_property
    def audio_of(self) -> dict[str, str]:
        """The audio of every file read before, by the hash of the file."""
        return {} if self._store is None else dict(self._store.tracks.select("file", "audio").iter_rows())

    @cached_property
    def failed_files(self) -> dict[str, Record]:
        """The records of files that failed, by the hash of the file."""
        return {record.file: record for record in self._failures}

    @cached_property
    def remarks_of(self) -> dict[str, tuple[Note, ...]]:
        """The remarks on files, apart from remarks on their names, by the hash of the file."""
        return {record.file: _on_content(record) for record in self.notes.records.values() if not record.failed}

    @cached_property
    def _owners(self) -> dict[str, tuple[str, str]]:
        """The audio and the path of every track that had a vector when the run began."""
        if self._store is None:
            return {}
        rows = self._store.tracks.select("id", "audio", "path").iter_rows()
        return {track: (audio, path or "") for track, audio, path in rows}

    def unchanged(self, states: pl.DataFrame) -> set[str]:
        """The tracks (id, size, mtime, path) whose files are as they were when their vectors were made.

        A track whose file was moved gets its new path. A file elsewhere with the id of a track whose own file still
        exists is another file.
        """
        if self._store is None:
            return set()
        self.audio_of, self.failed_files, self.remarks_of, self._owners  # noqa: B018 - threads look into them
        same = states.join(self._store.tracks, on=["id", "size", "mtime"], how="inner", suffix="_before")
        moved = same.filter(pl.col("path").ne_missing(pl.col("path_before")))
        others = {row["id"] for row in moved.iter_rows(named=True) if row["path_before"] and exists(row["path_before"])}
        for row in moved.iter_rows(named=True):
            if row["id"] not in others:
                self.add(Entry(row["id"], row["audio"], row["size"], row["mtime"], row["file"], row["path"]))
                self._forget_name(row["id"], row["path_before"], row["path"])
        return set(same["id"]) - others

    def failed(self, states: pl.DataFrame) -> set[str]:
        """The tracks whose files failed before and have not changed since."""
        table = pl.DataFrame(
            [record[:3] for record in self._failures],
            {"id": pl.String, "size": pl.Int64, "mtime": pl.Int64},
            orient="row",
        )
        return set(states.join(table, on=["id", "size", "mtime"], how="semi")["id"])

    def owner(self, track: Track) -> tuple[str, str] | None:
        """The audio and the path of another file that has this track's id in the store, if that file still exists."""
        audio, path = self._owners.get(track.id, ("", ""))
        return (audio, path) if path and path != place(track) and exists(path) else None

    def has(self, audio: str) -> bool:
        """Whether there is a vector of this audio."""
        return self._store is not None and self._store.has(audio)

    def add(self, entry: Entry) -> None:
        """A track, and its audio's vector if that is new."""
        if entry.vector is not None:
            self._open(len(entry.vector))
        if self._store is not None:
            self._store.add(entry)

    def note(self, track: Track, file: File, notes: Sequence[Note]) -> None:
        """Replace the notes on a track."""
        self.notes.set(Record(track.id, *file, READER, tuple(notes)))

    @cached_property
    def ids(self) -> set[str]:
        """The tracks that had vectors when the run began."""
        return set(self.tracks["id"])

    def drop(self, ids: set[str]) -> None:
        """Take vectors from tracks: their files hold other audio now, or are no longer asked for."""
        for track in sorted(ids & self.ids):
            self.add(Entry(track, None, 0, 0, ""))

    def flush(self) -> None:
        """Make additions safe from a killed process. Notes go first: a track with a vector is not read again."""
        self.notes.flush()
        if self._store is not None:
            self._store.flush()

    def close(self, commit: bool) -> None:
        """Commit additions, and let other processes write."""
        try:
            if commit:
                self.notes.close()
        finally:
            if self._store is not None:
                self._store.close(commit)

    @property
    def _failures(self) -> list[Record]:
        records = self.notes.records.values()
        return [] if self._retry else [record for record in records if record.failed and record.reader == READER]

    def _forget_name(self, track: str, before: str | None, now: str) -> None:
        """Drop the remark on the name of a file that has another suffix now."""
        record = self.notes.records.get(track)
        if record is not None and os.path.splitext(before or "")[1] != os.path.splitext(now)[1]:  # noqa: PTH122
            self.notes.set(record._replace(notes=_on_content(record)))

    def _open(self, dim: int) -> None:
        if self._store is None:
            self._store = TrackStore(self.output.store, self.output.info(dim), self._ids)


def states(tracks: Sequence[Track]) -> pl.DataFrame:
    """Size, time of change (ns) and path of every track's file; UNKNOWN where there is none."""
    facts = np.full((len(tracks), 2), UNKNOWN, np.int64)
    for row, track in enumerate(tracks):
        try:
            state = os.stat(track.path)  # noqa: PTH116 - a tenth of a second per 100,000 files faster
        except (OSError, ValueError):
            continue
        facts[row] = state.st_size, state.st_mtime_ns
    columns = {"id": [track.id for track in tracks], "path": [place(track) for track in tracks]}
    return pl.DataFrame(columns).with_columns(size=facts[:, 0], mtime=facts[:, 1])


def entry(track: Track, file: File, audio: str, vector: Float32[Array, "d"] | None = None) -> Entry:
    """A track as the store keeps it."""
    return Entry(track.id, audio, *file, place(track), vector)


def place(track: Track) -> str:
    """The absolute path of a track's file as text."""
    return text(os.path.abspath(track.path))  # noqa: PTH100 - a Path would resolve links or take ten times as long


def exists(path: str) -> bool:
    """Whether there is a file."""
    return os.path.exists(path)  # noqa: PTH110 - as above


def _on_content(record: Record) -> tuple[Note, ...]:
    """The notes on a file that are not about its name."""
    return tuple(note for note in record.notes if not note.reason.startswith(NAMED))
