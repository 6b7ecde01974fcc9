"""Subsonic and its kin (Airsonic, Gonic, Ampache, ...): songs in answers of the API."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar
from xml.etree.ElementTree import Element, ParseError, fromstring

import polars as pl

from timbrec.errors import DataError
from timbrec.importers.shared.base import Importer, Plays, plays_table
from timbrec.importers.shared.files import HistoryFile
from timbrec.importers.shared.json_text import whole_json
from timbrec.importers.shared.moments import moment

_RESPONSE = "subsonic-response"
_UNSAID = "no reason given"
_BOOLEANS = {"true": True, "false": False}
_FIELDS = {
    "title": "title", "artist": "artist", "album": "album", "path": "path", "mbid": "musicBrainzId", "source_id": "id",
}  # fmt: skip


@dataclass(frozen=True)
class Subsonic(Importer):
    """Songs in answers of the API, such as getStarred2, getPlaylist, getAlbum or search3, as JSON or XML.

    A song has the time of its last play (`played`) and its `playCount`; a starred song that nobody played counts once,
    at the time of the star. Songs that were neither played nor starred count only in a playlist, once and undated. A
    song in several answers counts once.
    """

    name: ClassVar[str] = "Subsonic"
    export: ClassVar[str] = "answers of the API as files, e.g. of rest/getStarred2"

    @classmethod
    def claims(cls, file: HistoryFile) -> bool:
        """Objects or XML with `subsonic-response`."""
        start = file.head.lstrip()
        return (start.startswith(b"{") and f'"{_RESPONSE}"'.encode() in start) or _is_xml(file)

    def read(self, files: Sequence[HistoryFile]) -> Plays:
        """One row per song."""
        entries = {str(song["id"]): (song, listed) for file in files for song, listed in _songs(_answer(file), False)}
        songs = {name: entry for name, entry in entries.items() if _is_music(entry[0])}
        used = [row for song, listed in songs.values() if (row := _row(song, listed))]
        if not used:
            raise DataError(f"{files[0].name} has no song that was played, starred or in a playlist",
                            count=len(songs), fix="Get the answer of getStarred2 or getPlaylist.")  # fmt: skip
        table = pl.DataFrame(used, infer_schema_length=None)
        return Plays(
            plays_table(table.with_columns(moment(pl.col("time").cast(pl.String)).alias("time"))),
            {"songs neither played nor starred": len(songs) - len(used),
             "videos, podcasts and audiobooks": len(entries) - len(songs)},
        )  # fmt: skip


def _answer(file: HistoryFile) -> Any:
    answer = _xml(file) if _is_xml(file) else whole_json(file).get(_RESPONSE)
    if not isinstance(answer, dict):
        raise DataError(f"{file.name} has no object `{_RESPONSE}`", fix="Get it again.")
    if answer.get("status") == "failed":
        refusal = answer.get("error")
        refusal = refusal[0] if isinstance(refusal, list) and refusal else refusal
        reason = refusal.get("message", _UNSAID) if isinstance(refusal, dict) else _UNSAID
        raise DataError(f"{file.name} holds no songs: the server refused the request ({reason})", fix="Get it again.")
    return answer


def _xml(file: HistoryFile) -> dict[str, Any]:
    try:
        return _tree(fromstring(file.content()))
    except ParseError as error:
        raise DataError(f"{file.name} is no complete answer of the API ({error})", fix="Get it again.") from error


def _is_xml(file: HistoryFile) -> bool:
    start = file.head.lstrip()
    return start.startswith(b"<") and f"<{_RESPONSE}".encode() in start[:1000]


def _tree(element: Element) -> dict[str, Any]:
    """An element of XML as an object of JSON: its attributes, and lists of the elements in it, or of their texts."""
    tree: dict[str, Any] = {name: _BOOLEANS.get(value, value) for name, value in element.attrib.items()}
    for inner in element:
        tree.setdefault(inner.tag.rpartition("}")[2], []).append(_tree(inner) or inner.text)
    return tree


def _songs(value: Any, listed: bool) -> Iterator[tuple[dict[str, Any], bool]]:
    """The songs anywhere in an answer, and whether they are in a playlist."""
    if isinstance(value, list):
        for entry in value:
            yield from _songs(entry, listed)
    elif isinstance(value, dict):
        if "title" in value and "id" in value and not value.get("isDir", False):
            yield value, listed
        for key, entry in value.items():
            if isinstance(entry, dict | list):
                yield from _songs(entry, listed or key == "playlist")


def _is_music(song: dict[str, Any]) -> bool:
    return not song.get("isVideo") and song.get("type", "music") not in ("video", "podcast", "audiobook")


def _row(song: dict[str, Any], listed: bool) -> dict[str, Any]:
    """A row of the table; empty for a song that nobody played, starred or listed."""
    plays = int(song.get("playCount") or 0)
    if not (plays or song.get("starred") or listed):
        return {}
    row = {name: None if song.get(key) is None else str(song[key]) for name, key in _FIELDS.items()}
    isrc = song.get("isrc")
    duration = song.get("duration")
    return row | {
        "isrc": isrc[0] if isinstance(isrc, list) and isrc else None,
        "duration_s": None if duration is None else float(duration),
        "time": song.get("played") if plays else song.get("starred"),
        "plays": max(plays, 1),
    }
