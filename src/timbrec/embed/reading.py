"""Reading a track's file once: recognising it by its bytes, or decoding it for all encoders that need it."""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from timbrec.audio import AudioFile, Clip, Cut, read_clips
from timbrec.embed.target import File, Target
from timbrec.embed.tracks import Track
from timbrec.errors import AudioError, PlaceError
from timbrec.places import local
from timbrec.places.copies import Copy
from timbrec.store.notes import Record


@dataclass(eq=False)
class Reading:
    """A track and the outcome of reading its file.

    `file` is None if the file cannot be read. `known` lists the targets that know the file, with the hash of its audio;
    `failed` lists the targets in which the same file failed before; `clips` holds the windows for all other targets.
    """

    track: Track
    file: File | None = None
    known: list[tuple[Target, str]] = field(default_factory=list)
    failed: list[tuple[Target, Record]] = field(default_factory=list)
    clips: dict[Cut, Clip | AudioError] = field(default_factory=dict)
    error: AudioError | None = None


def read_track(track: Track, targets: Sequence[Target]) -> Reading:
    """Read a track for the targets that lack it; an AudioError becomes part of the outcome."""
    reading = Reading(track)
    try:
        path = _copied(track.path)
        size, time, digest = _fingerprint(path)
        reading.file = size, path.version if isinstance(path, Copy) else time, digest
        cuts = dict[Cut, None]()
        for target in targets:
            if digest in target.audio_of:
                reading.known.append((target, target.audio_of[digest]))
            elif digest in target.failed_files:
                reading.failed.append((target, target.failed_files[digest]))
            else:
                cuts[target.output.cut] = None
        if cuts:
            reading.clips = dict(zip(cuts, read_clips(path, list(cuts), (size, time)), strict=True))
    except AudioError as error:
        reading.error = error
    return reading


def _copied(path: Path) -> Path:
    """The path itself, or that of a copy of a remote file. Raises AudioError for a file that cannot be copied."""
    try:
        return local(path)
    except FileNotFoundError as error:
        raise AudioError(f"{path}: it does not exist", fix="Check the path.", passing=True) from error
    except PlaceError as error:
        reason = error.what.removeprefix(f"{path} ")
        raise AudioError(f"{path}: it cannot be read: {reason}", fix=error.fix, passing=True) from error


def _fingerprint(path: Path) -> File:
    """Return size, modification time (ns) and hash of a file; this takes a fiftieth of the time of decoding."""
    try:
        state = path.stat()
        if not stat.S_ISREG(state.st_mode):
            raise AudioError(f"{path}: it is no regular file", fix="Leave it out.")
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()[:32]
    except (OSError, ValueError) as error:
        with AudioFile(path):  # raises the usual error for this problem
            raise AudioError(f"{path}: it cannot be read: {error}", fix="Check the file.") from error
    return state.st_size, state.st_mtime_ns, digest
