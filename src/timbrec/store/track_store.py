"""Vector store that is filled from audio files, through a journal."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from timbrec.errors import StoreError
from timbrec.places import place_of
from timbrec.store.journal import Entry, Journal
from timbrec.store.manifest import StoreInfo, holds_store
from timbrec.store.vector_store import TRACKS, KnownError, VectorStore
from timbrec.types import Array, Float32

_SHARD_VALUES = 1 << 25  # number of values in the journal that makes a shard: 128 MiB


class TrackStore:
    """Tracks and the vectors of their audio, writable by one process of a machine.

    Entries go into the journal. They become a commit when there are enough for a shard, and at `close`. The rows of a
    commit are sorted, so that the result does not depend on the order of arrival. `ids` is the kind of the tracks' ids
    (see `Manifest`). Opening resumes the journal of a killed run. The journal of a remote store lies on this machine;
    of several machines that encode the same audio, the first commit counts. Raises StoreError like VectorStore and
    Journal.
    """

    def __init__(self, folder: Path, info: StoreInfo, ids: str = "") -> None:
        self._ids, work = ids, place_of(folder).work()
        if not holds_store(folder):
            VectorStore.create(folder, info)
        work.mkdir(parents=True, exist_ok=True)
        self._journal = Journal(work)  # first, since the lock keeps other writers out
        try:
            self._store = VectorStore.open(folder, expect=info)
        except StoreError:
            self._journal.close()
            raise
        self._entries = {entry.id: entry[:-1] for entry in self._journal}
        self._new = {entry.audio for entry in self._journal if entry.vector is not None}
        self._waiting: list[Entry] = []
        self._full = max(1, _SHARD_VALUES // info.dim)

    @property
    def tracks(self) -> pl.DataFrame:
        """Tracks with vectors, including the journal; columns as in `TRACKS`."""
        tables = pl.concat([self._store.tracks, _table(self._entries.values())])
        return tables.unique("id", keep="last", maintain_order=True).filter(pl.col("audio").is_not_null())

    def has(self, audio: str) -> bool:
        """Whether the store has a vector of this audio."""
        return audio in self._new or audio in self._store.audio

    def add(self, entry: Entry) -> None:
        """Add a track, and the vector of its audio if it is new; `flush` makes it safe."""
        self._waiting.append(entry)
        self._entries[entry.id] = entry[:-1]
        if entry.vector is not None:
            self._new.add(entry.audio)
        if len(self._new) >= self._full:
            self.commit()

    def flush(self) -> None:
        """Write additions to the journal, where they survive a killed process."""
        waiting, self._waiting = self._waiting, []
        if waiting:
            self._journal.append(waiting)

    def commit(self) -> None:
        """Commit the journal to the store. After a kill half-way, the next run repeats it with the same result."""
        self.flush()
        while not self._committed():
            self._store = VectorStore.open(self._store.path)  # as another machine has left it
        self._journal.clear()
        self._entries, self._new = {}, set()

    def _committed(self) -> bool:
        """Commit entries that the store lacks; False if another writer added one of their vectors meanwhile."""
        changes = _table(self._entries.values()).join(self._store.tracks, on=list(TRACKS), how="anti", nulls_equal=True)
        new = {entry.audio: entry.vector for entry in self._journal if entry.vector is not None}
        audio = sorted(key for key in new if key is not None and key not in self._store.audio)
        if len(changes) or audio:
            vectors = [new[key] for key in audio]
            try:
                self._store.commit(changes.sort("id"), audio, _stacked(vectors, self._store.dim), self._ids)
            except KnownError:
                return False
        return True

    def close(self, commit: bool = True) -> None:
        """Commit, unless an error forbids it, and release the lock."""
        try:
            if commit:
                self.commit()
        finally:
            self._journal.close()


def _stacked(vectors: list[Float32[Array, "dim"]], dim: int) -> Float32[Array, "n dim"]:
    return np.stack(vectors) if vectors else np.empty((0, dim), np.float32)


def _table(rows: object) -> pl.DataFrame:
    return pl.DataFrame(list(rows), TRACKS, orient="row")  # type: ignore[call-overload]
