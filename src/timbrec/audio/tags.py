"""Reading tags of audio files, such as MusicBrainz ids."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

_DATES = ("TDOR", "TORY", "TDRC", "TYER")  # frames of ID3, of version 2.4 or 2.3
_ALIASES = {"tsrc": "isrc", "ufid": "musicbrainztrackid"}
_SEVERAL = "; "  # between the values of a tag with several
_ITUNES = "----:com.apple.iTunes:"
_KEYS: dict[str, tuple[str, ...]] = {  # field: its names in ID3, MP4, ASF, and in Vorbis comments and APE tags
    "artist": ("TPE1", "\xa9ART", "Author", "artist"),
    "album_artist": ("TPE2", "aART", "WM/AlbumArtist", "albumartist", "album artist"),
    "title": ("TIT2", "\xa9nam", "Title", "title"),
    "album": ("TALB", "\xa9alb", "WM/AlbumTitle", "album"),
    "mbid": (
        "UFID:http://musicbrainz.org", f"{_ITUNES}MusicBrainz Track Id", "MusicBrainz/Track Id", "musicbrainz_trackid",
    ),
    "isrc": ("TSRC", f"{_ITUNES}ISRC", "WM/ISRC", "isrc"),
    "acoustid": ("TXXX:Acoustid Id", "TXXX:ACOUSTID_ID", f"{_ITUNES}Acoustid Id", "Acoustid/Id", "acoustid_id"),
    "date": (
        *_DATES, "WM/OriginalReleaseTime", "WM/OriginalReleaseYear", "WM/Year", "originaldate",
        "originalyear", "\xa9day", "date", "year",
    ),
}  # fmt: skip


class Tags(NamedTuple):
    """What a file says about its recording. None stands for a missing tag.

    `mbid` is MusicBrainz's id of the recording; `date` that of its first release, or of this one.
    """

    artist: str | None = None
    album_artist: str | None = None
    title: str | None = None
    album: str | None = None
    mbid: str | None = None
    isrc: str | None = None
    acoustid: str | None = None
    date: str | None = None
    duration_s: float | None = None


def read_tags(path: Path | str) -> Tags | None:
    """The tags and the length of a file; None if it is unreadable. Several artists are joined by "; "."""
    import mutagen

    try:
        file = _mp3(path) if str(path).lower().endswith(".mp3") else mutagen.File(path)
    except (mutagen.MutagenError, OSError, ValueError, KeyError, IndexError, TypeError):  # damaged tags
        return None
    if file is None:
        return None
    tags: Any = file.tags or {}
    length = getattr(file.info, "length", None)
    return Tags(**{name: _value(tags, keys) for name, keys in _KEYS.items()}, duration_s=length or None)


def _mp3(path: Path | str) -> Any:
    """An MP3 file with the frames of `_KEYS` alone: text in UTF-16, which mutagen decodes slowly, is left as it is."""
    from mutagen import mp3

    return mp3.MP3(path, known_frames=_known_frames())  # type: ignore[no-untyped-call]


@cache
def _known_frames() -> dict[str, type]:
    from mutagen import id3

    names = {key.partition(":")[0] for key in (*(keys[0] for keys in _KEYS.values()), *_DATES)}
    return {name: getattr(id3, name) for name in names - {"TXXX"}} | {"TXXX": _own_texts(id3)}


def _own_texts(id3: Any) -> type:
    """The frame TXXX, which reads texts called "Acoustid Id" only."""

    class TXXX(id3.TXXX):  # type: ignore[misc]
        @classmethod
        def _fromData(cls, header: Any, flags: Any, data: bytes) -> Any:  # noqa: N802 - mutagen's name
            if b"acoustid" not in data.replace(b"\0", b"").lower():
                raise NotImplementedError  # mutagen keeps the frame unread
            return super()._fromData(header, flags, data)

    return TXXX


def _value(tags: Any, keys: Sequence[str]) -> str | None:
    """The first of these tags that has a value, as text."""
    for key in keys:
        try:
            values = tags[key]
        except (KeyError, ValueError):  # Vorbis comments refuse names that they cannot have
            continue
        texts = [part.strip() for value in _list(values) for part in _text(value).split("\0")]  # as APE tags join them
        if joined := _SEVERAL.join(text for text in texts if text):
            return joined
    return None


def _list(values: Any) -> Sequence[Any]:
    """The values of a tag: of an ID3 frame its texts, or the data of an identifier."""
    for attribute in ("text", "data"):
        if hasattr(values, attribute):
            values = getattr(values, attribute)
            break
    return values if isinstance(values, list | tuple) else [values]


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def read_tag(path: Path, name: str) -> str:
    """Return a tag of a file's container or first audio stream; empty if it is missing or the file is unreadable.

    Names are compared by their letters and digits only: `MUSICBRAINZ_TRACKID` equals `MusicBrainz Track Id`.
    """
    import av
    import av.error

    from timbrec.audio.kinds import OPTIONS

    try:
        with av.open(f"file:{os.fspath(path)}", metadata_errors="replace", container_options=OPTIONS) as container:
            tags = dict(container.metadata)
            for stream in container.streams.audio[:1]:
                tags = dict(stream.metadata) | tags
    except (av.error.FFmpegError, OSError, ValueError):
        return ""
    return next((value.strip() for key, value in tags.items() if _plain(key) == _plain(name)), "")


def _plain(name: str) -> str:
    letters = "".join(letter for letter in name.lower() if letter.isalnum())
    return _ALIASES.get(letters, letters)
