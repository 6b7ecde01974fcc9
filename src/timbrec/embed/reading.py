"""Reading a track's file once: recognising it by its bytes, or decoding it for all encoders that need it."""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field

from timbrec.audio import AudioFile, Clip, Cut, read_clips
from timbrec.embed.target import File, Target
from timbrec.embed.tracks import Track
from timbrec.errors import AudioError
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
        reading.file = _fingerprint(track)
        digest, cuts = reading.file[2], dict[Cut, None]()
        for target in targets:
            if digest in target.audio_of:
                reading.known.append((target, target.audio_of[digest]))
            elif digest in target.failed_files:
                reading.failed.append((target, target.failed_files[digest]))
            else:
                cuts[target.output.cut] = None
        if cuts:
            reading.clips = dict(zip(cuts, read_clips(track.path, list(cuts), reading.file[:2]), strict=True))
    except AudioError as error:
        reading.error = error
    return reading


def _fingerprint(track: Track) -> File:
    """Return size, modification time (ns) and hash of a file; this takes a fiftieth of the time of decoding."""
    try:
        state = track.path.stat()
        if not stat.S_ISREG(state.st_mode):
            raise AudioError(f"{track.path}: it is no regular file", fix="Leave it out.")
        with track.path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()[:32]
    except (OSError, ValueError) as error:
        with AudioFile(track.path):  # raises the usual error for this problem
            raise AudioError(f"{track.path}: it cannot be read: {error}", fix="Check the file.") from error
    return state.st_size, state.st_mtime_ns, digest
