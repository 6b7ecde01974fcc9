"""Playlists in the formats M3U and JSPF: each track is a like, without a time."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar
from urllib.parse import unquote

import polars as pl

from timbrec.errors import DataError
from timbrec.importers.shared.base import Importer, Plays, plays_table
from timbrec.importers.shared.files import HistoryFile
from timbrec.importers.shared.json_text import objects_at, whole_json

_INFO = re.compile(r"#EXTINF:\s*(-?\d+(?:\.\d+)?)[^,]*,(.*)")
_RECORDING = re.compile(r"recording/([0-9a-fA-F-]{36})")
_SUFFIXES = (".m3u", ".m3u8")


@dataclass(frozen=True)
class Playlists(Importer):
    """Tracks of playlists as likes: one play each, without a time.

    M3U: paths, and with `#EXTINF` the length, artist and title. JSPF, also of ListenBrainz: creator, title, album,
    length, location, and MusicBrainz ids in `identifier`. Addresses of streams are dropped and counted.
    """

    name: ClassVar[str] = "playlists"
    export: ClassVar[str] = "M3U or JSPF files, as players and ListenBrainz write them"

    @classmethod
    def claims(cls, file: HistoryFile) -> bool:
        """Files that are called .m3u or .m3u8 or start like one, and objects with `playlist`."""
        if file.base.endswith(_SUFFIXES) or file.head.lstrip().startswith(b"#EXTM3U"):
            return b"\0" not in file.head
        return _is_jspf(file)

    def read(self, files: Sequence[HistoryFile]) -> Plays:
        """One row per track of a playlist; a track of several playlists counts once."""
        rows = [row for file in files for row in (_jspf(file) if _is_jspf(file) else _m3u(file))]
        local = [row for row in rows if not str(row.get("path") or "").startswith(("http:", "https:"))]
        if not local:
            raise DataError(f"{files[0].name} has no tracks", count=len(rows) or None, fix="Name another playlist.")
        schema = {"artist": pl.String, "title": pl.String, "album": pl.String, "mbid": pl.String, "path": pl.String,
                  "duration_s": pl.Float64}  # fmt: skip
        table = pl.DataFrame(local, schema=schema)
        once = table.unique(maintain_order=True)
        dropped = {"addresses of streams": len(rows) - len(local), "in several playlists": len(table) - len(once)}
        return Plays(plays_table(once), dropped)


def _is_jspf(file: HistoryFile) -> bool:
    start = file.head.lstrip()
    return start.startswith(b"{") and b'"playlist"' in start and b'"track"' in start


def _m3u(file: HistoryFile) -> Iterator[dict[str, Any]]:
    content = file.content()
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        text = content.decode("latin-1")  # as older players write .m3u
    info: dict[str, Any] = {}
    for line in map(str.strip, text.splitlines()):
        if match := _INFO.match(line):
            artist, dash, title = match[2].partition(" - ")
            names = (artist, title) if dash else (None, match[2])
            info = {"duration_s": max(float(match[1]), 0.0) or None, "artist": names[0], "title": names[1]}
        elif line and not line.startswith("#"):
            yield info | {"path": unquote(line) if line.startswith("file:") else line}
            info = {}


def _jspf(file: HistoryFile) -> Iterator[dict[str, Any]]:
    for track in objects_at(whole_json(file), ("playlist", "track"), file.name):
        identifiers, locations = (_texts(track.get(key)) for key in ("identifier", "location"))
        mbid = next((match[1] for text in identifiers if (match := _RECORDING.search(text))), None)
        path = next((unquote(text) for text in locations if not text.startswith(("http:", "https:"))), None)
        yield {
            "artist": track.get("creator"), "title": track.get("title"), "album": track.get("album"), "mbid": mbid,
            "path": path, "duration_s": _seconds(track.get("duration")),
        }  # fmt: skip


def _seconds(milliseconds: Any) -> float | None:
    """A duration in seconds; None for what is no number."""
    try:
        return float(milliseconds) / 1000
    except (TypeError, ValueError):
        return None


def _texts(value: Any) -> list[str]:
    return [str(entry) for entry in (value if isinstance(value, list) else [value]) if entry]
