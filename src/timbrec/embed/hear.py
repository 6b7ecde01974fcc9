"""One file, read once: recognised by its bytes, or decoded for all encoders that need it."""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field

from timbrec.audio import AudioFile, Clip, Cut, read_clips
from timbrec.embed.target import Target
from timbrec.embed.tracks import Track
from timbrec.errors import AudioError


@dataclass(eq=False)
class Heard:
    """What is known of a track after reading its file, or why it could not be read.

    `file` is the size, time of change (ns) and hash of the file, None where it cannot be read at all. `known` are the
    hashes of the audio, by target, where stores knew the file; `clips` the windows for the others.
    """

    track: Track
    file: tuple[int, int, str] | None = None
    known: list[tuple[Target, str]] = field(default_factory=list)
    clips: dict[Cut, Clip | AudioError] = field(default_factory=dict)
    error: AudioError | None = None


def hear(track: Track, targets: Sequence[Target]) -> Heard:
    """Read a track for the targets that lack it."""
    heard = Heard(track)
    try:
        heard.file = _fingerprint(track)
        digest = heard.file[2]
        heard.known = [(target, target.audio_of[digest]) for target in targets if digest in target.audio_of]
        cuts = list(dict.fromkeys(target.output.cut for target in targets if digest not in target.audio_of))
        if cuts:
            heard.clips = dict(zip(cuts, read_clips(track.path, cuts, heard.file[:2]), strict=True))
    except AudioError as error:
        heard.error = error
    return heard


def _fingerprint(track: Track) -> tuple[int, int, str]:
    """Size, time of change and hash of a file's bytes: reading takes a fiftieth of decoding."""
    try:
        state = track.path.stat()
        if not stat.S_ISREG(state.st_mode):
            raise AudioError(f"{track.path}: it is no regular file", fix="Leave it out.")
        with track.path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()[:32]
    except (OSError, ValueError) as error:
        with AudioFile(track.path):  # says what is wrong, as it does elsewhere
            raise AudioError(f"{track.path}: it cannot be read: {error}", fix="Check the file.") from error
    return state.st_size, state.st_mtime_ns, digest
