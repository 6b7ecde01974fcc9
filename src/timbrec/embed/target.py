"""Store of an output, opened for writing: its tracks, its notes, and additions to them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cached_property
from typing import cast

import av
import numpy as np
import polars as pl

from timbrec.audio.file import NAMED, VERSION
from timbrec.embed.outputs import Output
from timbrec.embed.tracks import Track, text
from timbrec.places import is_remote, location
from timbrec.places.copies import version_of
from timbrec.places.locations import Remote
from timbrec.store import Entry, TrackStore
from timbrec.store.manifest import holds_store, newest
from timbrec.store.notes import Note, Notes, Record
from timbrec.store.speed import add_time
from timbrec.types import Array, Float32

UNKNOWN = -1
READER = f"{VERSION}, PyAV {av.__version__}"  # failures noted by another reader are tried again
File = tuple[int, int, str]  # size, modification time (ns; of a remote file, its version), hash
_AT_ONCE = 32  # remote files whose versions are asked for


class Target:
    """Store of an output, opened for writing. A missing store is created once the number of dimensions is known.

    A file that failed before and has not changed counts as failed, unless `retry` is true.
    """

    def __init__(self, output: Output, ids: str = "", retry: bool = False) -> None:
        self.output, self._ids, self._retry = output, ids, retry
        self._store: TrackStore | None = None
        exists = holds_store(output.store)
        dim = output.dim or (newest(output.store).info.dim if exists else None)
        if dim:
            self._open(dim)
        self.notes = Notes(output.store)

    @property
    def kind(self) -> tuple[int | None, str]:
        """Layer and pool."""
        return self.output.layer, self.output.pool

    @property
    def tracks(self) -> pl.DataFrame:
        """Tracks with vectors (see `TRACKS`)."""
        return pl.DataFrame(schema={"id": pl.String}) if self._store is None else self._store.tracks

    @cached_property
    def audio_of(self) -> dict[str, str]:
        """Hash of the audio by hash of the file, for every file read before."""
        return {} if self._store is None else dict(self._store.tracks.select("file", "audio").iter_rows())

    @cached_property
    def failed_files(self) -> dict[str, Record]:
        """Records of failed files, by hash of the file."""
        return {record.file: record for record in self._failures}

    @cached_property
    def remarks_of(self) -> dict[str, tuple[Note, ...]]:
        """Remarks on the content of files, by hash of the file."""
        return {record.file: _on_content(record) for record in self.notes.records.values() if not record.failed}

    @cached_property
    def _owners(self) -> dict[str, tuple[str, str]]:
        """Hash of the audio and path of every track with a vector at the start of the run."""
        if self._store is None:
            return {}
        rows = self._store.tracks.select("id", "audio", "path").iter_rows()
        return {track: (audio, path or "") for track, audio, path in rows}

    def unchanged(self, states: pl.DataFrame) -> set[str]:
        """Return the tracks (of a table id, size, mtime, path) with unchanged files.

        A moved file gets its new path. A file in another place is not the same file if the former place still has one.
        """
        if self._store is None:
            return set()
        self.audio_of, self.failed_files, self.remarks_of, self._owners  # noqa: B018 - computed here, since threads read them
        same = states.join(self._store.tracks, on=["id", "size", "mtime"], how="inner", suffix="_before")
        moved = same.filter(pl.col("path").ne_missing(pl.col("path_before")))
        others = {row["id"] for row in moved.iter_rows(named=True) if row["path_before"] and exists(row["path_before"])}
        for row in moved.iter_rows(named=True):
            if row["id"] not in others:
                self.add(Entry(row["id"], row["audio"], row["size"], row["mtime"], row["file"], row["path"]))
                self._forget_name(row["id"], row["path_before"], row["path"])
        return set(same["id"]) - others

    def failed(self, states: pl.DataFrame) -> set[str]:
        """Return the tracks with files that failed before and have not changed."""
        table = pl.DataFrame(
            [record[:3] for record in self._failures],
            {"id": pl.String, "size": pl.Int64, "mtime": pl.Int64},
            orient="row",
        )
        return set(states.join(table, on=["id", "size", "mtime"], how="semi")["id"])

    def owner(self, track: Track) -> tuple[str, str] | None:
        """Audio and path of another, existing file that has this track's id in the store; else None."""
        audio, path = self._owners.get(track.id, ("", ""))
        return (audio, path) if path and path != place(track) and exists(path) else None

    def has(self, audio: str) -> bool:
        """Whether the store has a vector of this audio."""
        return self._store is not None and self._store.has(audio)

    def add(self, entry: Entry) -> None:
        """Add a track, and the vector of its audio if it is new."""
        if entry.vector is not None:
            self._open(len(entry.vector))
        if self._store is not None:
            self._store.add(entry)

    def note(self, track: Track, file: File, notes: Sequence[Note]) -> None:
        """Replace the notes on a track."""
        self.notes.set(Record(track.id, *file, READER, tuple(notes)))

    @cached_property
    def ids(self) -> set[str]:
        """Ids of the tracks with vectors at the start of the run."""
        return set(self.tracks["id"])

    def drop(self, ids: set[str]) -> None:
        """Remove the vectors of tracks, because their files changed or are no longer in the source."""
        for track in sorted(ids & self.ids):
            self.add(Entry(track, None, 0, 0, ""))

    def flush(self) -> None:
        """Write additions, to survive a kill. Notes go first, since a track with a vector is not read again."""
        self.notes.flush()
        if self._store is not None:
            self._store.flush()

    def close(self, commit: bool) -> None:
        """Commit additions if asked to, and release the store for other processes."""
        try:
            if commit:
                self.notes.close()
        finally:
            if self._store is not None:
                self._store.close(commit)

    def timed(self, device: str, tracks: int, seconds: float) -> None:
        """Record how long encoding took; vectors do not depend on it, so a full disk is no error here."""
        if tracks and self._store is not None:
            with suppress(OSError):
                add_time(self.output.store, device, tracks, seconds)

    @property
    def _failures(self) -> list[Record]:
        records = self.notes.records.values()
        return [] if self._retry else [record for record in records if record.failed and record.reader == READER]

    def _forget_name(self, track: str, before: str | None, now: str) -> None:
        """Drop the remark on a file's name if its suffix has changed."""
        record = self.notes.records.get(track)
        if record is not None and os.path.splitext(before or "")[1] != os.path.splitext(now)[1]:  # noqa: PTH122
            self.notes.set(record._replace(notes=_on_content(record)))

    def _open(self, dim: int) -> None:
        if self._store is None:
            self._store = TrackStore(self.output.store, self.output.info(dim), self._ids)


def states(tracks: Sequence[Track]) -> pl.DataFrame:
    """Return size, modification time (ns) and path of every track's file; UNKNOWN for missing files.

    The version of a remote file takes the place of a time (see `version_of`).
    """
    facts = np.full((len(tracks), 2), UNKNOWN, np.int64)
    remote = [row for row, track in enumerate(tracks) if is_remote(track.path)]
    if remote:
        with ThreadPoolExecutor(_AT_ONCE) as threads:
            facts[remote] = list(threads.map(lambda row: _version(cast("Remote", tracks[row].path)), remote))
    for row, track in enumerate(tracks):
        if is_remote(track.path):
            continue
        try:
            state = os.stat(track.path)  # noqa: PTH116 - faster than Path.stat
        except (OSError, ValueError):
            continue
        facts[row] = state.st_size, state.st_mtime_ns
    columns = {"id": [track.id for track in tracks], "path": [place(track) for track in tracks]}
    return pl.DataFrame(columns).with_columns(size=facts[:, 0], mtime=facts[:, 1])


def entry(track: Track, file: File, audio: str, vector: Float32[Array, "d"] | None = None) -> Entry:
    """Build the store's entry of a track."""
    return Entry(track.id, audio, *file, place(track), vector)


def _version(path: Remote) -> tuple[int, int]:
    try:
        return version_of(path)
    except FileNotFoundError:
        return UNKNOWN, UNKNOWN


def place(track: Track) -> str:
    """Absolute path, or URL, of a track's file as text."""
    if is_remote(track.path):
        return str(track.path)
    return text(os.path.abspath(track.path))  # noqa: PTH100 - Path resolves links, or takes ten times as long


def exists(path: str) -> bool:
    """Whether a file exists."""
    return location(path).exists() if "://" in path else os.path.exists(path)  # noqa: PTH110 - as above


def _on_content(record: Record) -> tuple[Note, ...]:
    """Notes on a file, without the remark on its name."""
    return tuple(note for note in record.notes if not note.reason.startswith(NAMED))
