"""An output while it is being filled: what its store knows, and what is added to it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cached_property

import numpy as np
import polars as pl

from timbrec.embed.outputs import Output
from timbrec.embed.tracks import Track
from timbrec.store import Entry, TrackStore
from timbrec.store.manifest import newest
from timbrec.types import Array, Float32

UNKNOWN = -1


class Target:
    """The store of an output, opened for writing; made where there is none, once its vectors' length is known."""

    def __init__(self, output: Output) -> None:
        self.output = output
        self._store: TrackStore | None = None
        there = next(output.store.glob("manifest-*.json"), None)
        dim = output.dim or (newest(output.store).info.dim if there else None)
        if dim:
            self._open(dim)

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

    def unchanged(self, states: pl.DataFrame) -> set[str]:
        """The tracks (id, size, mtime) whose files are as they were when their vectors were made."""
        if self._store is None:
            return set()
        self.audio_of, self.ids  # noqa: B018 - as they are now: threads look into them
        return set(states.join(self._store.tracks, on=["id", "size", "mtime"], how="semi")["id"])

    def has(self, audio: str) -> bool:
        """Whether there is a vector of this audio."""
        return self._store is not None and self._store.has(audio)

    def add(self, entry: Entry) -> None:
        """A track, and its audio's vector if that is new."""
        if entry.vector is not None:
            self._open(len(entry.vector))
        if self._store is not None:
            self._store.add(entry)

    @cached_property
    def ids(self) -> set[str]:
        """The tracks that had vectors when the run began."""
        return set(self.tracks["id"])

    def drop(self, ids: set[str]) -> None:
        """Take tracks' vectors from them: what they were made of is no longer there."""
        for track in sorted(ids & self.ids):
            self.add(Entry(track, None, 0, 0, ""))

    def flush(self) -> None:
        """Make what was added safe from a killed process."""
        if self._store is not None:
            self._store.flush()

    def close(self, commit: bool) -> None:
        """Commit what was added, and let others write."""
        if self._store is not None:
            self._store.close(commit)

    def _open(self, dim: int) -> None:
        if self._store is None:
            self._store = TrackStore(self.output.store, self.output.info(dim))


def states(tracks: Sequence[Track]) -> pl.DataFrame:
    """Size and time of change (ns) of every track's file; UNKNOWN where there is none."""
    found = np.full((len(tracks), 2), UNKNOWN, np.int64)
    for row, track in enumerate(tracks):
        try:
            state = os.stat(track.path)  # noqa: PTH116 - a tenth of a second per 100,000 files faster
        except (OSError, ValueError):
            continue
        found[row] = state.st_size, state.st_mtime_ns
    return pl.DataFrame({"id": [track.id for track in tracks], "size": found[:, 0], "mtime": found[:, 1]})


def entry(track: Track, heard: tuple[int, int, str], audio: str, vector: Float32[Array, "d"] | None = None) -> Entry:
    """A track as the store keeps it: `heard` is the size, time of change and hash of the file."""
    size, mtime, file = heard
    return Entry(track.id, audio, size, mtime, file, vector)
