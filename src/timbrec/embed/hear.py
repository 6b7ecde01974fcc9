"""One file, read once: recognised by its bytes, or decoded for all encoders that need it."""

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
class Heard:
    """A track after its file was read, or the reason why it could not be read.

    `file` is None where the file cannot be read at all. `known` are the hashes of the audio, by target, where stores
    know the file; `failed` the records of targets where the same file failed before; `clips` the windows for the rest.
    """

    track: Track
    file: File | None = None
    known: list[tuple[Target, str]] = field(default_factory=list)
    failed: list[tuple[Target, Record]] = field(default_factory=list)
    clips: dict[Cut, Clip | AudioError] = field(default_factory=dict)
    error: AudioError | None = None


def hear(track: Track, targets: Sequence[Target]) -> Heard:
    """Read a track for the targets that lack it."""
    heard = Heard(track)
    try:
        heard.file = _fingerprint(track)
        digest, cuts = heard.file[2], dict[Cut, None]()
        for target in targets:
            if digest in target.audio_of:
                heard.known.append((target, target.audio_of[digest]))
            elif digest in target.failed_files:
                heard.failed.append((target, target.failed_files[digest]))
            else:
                cuts[target.output.cut] = None
        if cuts:
            heard.clips = dict(zip(cuts, read_clips(track.path, list(cuts), heard.file[:2]), strict=True))
    except AudioError as error:
        heard.error = error
    return heard


def _fingerprint(track: Track) -> File:
    """Size, time of change and hash of a file's bytes: reading takes a fiftieth of decoding."""
    try:
        state = track.path.stat()
        if not stat.S_ISREG(state.st_mode):
            raise AudioError(f"{track.path}: it is no regular file", fix="Leave it out.")
        with track.path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()[:32]
    except (OSError, ValueError) as error:
        with AudioFile(track.path):  # raises the error that describes the problem, as elsewhere
            raise AudioError(f"{track.path}: it cannot be read: {error}", fix="Check the file.") from error
    return state.st_size, state.st_mtime_ns, digest
