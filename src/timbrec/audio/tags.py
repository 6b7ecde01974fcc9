"""Reading tags of audio files, such as MusicBrainz ids."""

from __future__ import annotations

from pathlib import Path

import av
import av.error

from timbrec.audio.kinds import OPTIONS

_ALIASES = {"tsrc": "isrc", "ufid": "musicbrainztrackid"}


def read_tag(path: Path, name: str) -> str:
    """Return a tag of a file's container or first audio stream; empty if it is missing or the file is unreadable.

    Names are compared by their letters and digits only: `MUSICBRAINZ_TRACKID` equals `MusicBrainz Track Id`.
    """
    try:
        with av.open(f"file:{path}", metadata_errors="replace", container_options=OPTIONS) as container:
            tags = dict(container.metadata)
            for stream in container.streams.audio[:1]:
                tags = dict(stream.metadata) | tags
    except (av.error.FFmpegError, OSError, ValueError):
        return ""
    return next((value.strip() for key, value in tags.items() if _plain(key) == _plain(name)), "")


def _plain(name: str) -> str:
    letters = "".join(letter for letter in name.lower() if letter.isalnum())
    return _ALIASES.get(letters, letters)
