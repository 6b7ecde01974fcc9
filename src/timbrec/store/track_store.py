"""A vector store that is being filled from audio files: a journal in front, folded into shards."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from timbrec.errors import StoreError
from timbrec.store.journal import Entry, Journal
from timbrec.store.manifest import StoreInfo
from timbrec.store.vector_store import TRACKS, VectorStore
from timbrec.types import Array, Float32

_SHARD_VALUES = 1 << 25  # values after which the journal becomes a shard: 128 MiB


class TrackStore:
    """Tracks and the vectors of their audio, to be written by one process.

    Entries go into the journal, and become a commit when there are enough for a shard, and at `close`. Rows of a commit
    are sorted, so that their order of arrival leaves no trace. `ids` says where the tracks' ids come from (see
    `Manifest`). Opening goes on with the journal of a killed run. Raises StoreError as VectorStore and Journal do.
    """

    def __init__(self, folder: Path, info: StoreInfo, ids: str = "") -> None:
        self._ids = ids
        if next(folder.glob("manifest-*.json"), None) is None:
            VectorStore.create(folder, info)
        self._journal = Journal(folder)  # first: what is opened behind it, nobody else changes
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
        """The tracks that have vectors, those of the journal included; columns as `TRACKS`."""
        tables = pl.concat([self._store.tracks, _table(self._entries.values())])
        return tables.unique("id", keep="last", maintain_order=True).filter(pl.col("audio").is_not_null())

    def has(self, audio: str) -> bool:
        """Whether there is a vector of this audio."""
        return audio in self._new or audio in self._store.audio

    def add(self, entry: Entry) -> None:
        """A track, and the vector of its audio unless that is known; it is safe once `flush` is called."""
        self._waiting.append(entry)
        self._entries[entry.id] = entry[:-1]
        if entry.vector is not None:
            self._new.add(entry.audio)
        if len(self._new) >= self._full:
            self.commit()

    def flush(self) -> None:
        """Write what was added into the journal: a killed process loses nothing of it."""
        waiting, self._waiting = self._waiting, []
        if waiting:
            self._journal.append(waiting)

    def commit(self) -> None:
        """Fold the journal into the store. Killed half-way, the next run does it again, to the same end."""
        self.flush()
        changes = _table(self._entries.values()).join(self._store.tracks, on=list(TRACKS), how="anti", nulls_equal=True)
        new = {entry.audio: entry.vector for entry in self._journal if entry.vector is not None}
        audio = sorted(key for key in new if key is not None and key not in self._store.audio)
        if len(changes) or audio:
            vectors = [new[key] for key in audio]
            self._store.commit(changes.sort("id"), audio, _stacked(vectors, self._store.dim), self._ids)
        self._journal.clear()
        self._entries, self._new = {}, set()

    def close(self, commit: bool = True) -> None:
        """Commit, unless what was just written failed, and let others write."""
        try:
            if commit:
                self.commit()
        finally:
            self._journal.close()


def _stacked(vectors: list[Float32[Array, "dim"]], dim: int) -> Float32[Array, "n dim"]:
    return np.stack(vectors) if vectors else np.empty((0, dim), np.float32)


def _table(rows: object) -> pl.DataFrame:
    return pl.DataFrame(list(rows), TRACKS, orient="row")  # type: ignore[call-overload]
