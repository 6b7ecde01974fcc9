"""Subsonic and its kin (Airsonic, Gonic, Ampache, ...): songs in answers of the API."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import polars as pl

from timbrec.errors import DataError
from timbrec.importers.shared.base import Importer, Plays, plays_table
from timbrec.importers.shared.files import HistoryFile

_RESPONSE = "subsonic-response"
_FIELDS = {
    "title": "title", "artist": "artist", "album": "album", "path": "path", "mbid": "musicBrainzId", "source_id": "id",
}  # fmt: skip


@dataclass(frozen=True)
class Subsonic(Importer):
    """Songs in JSON answers of the API, such as getStarred2, getPlaylist, getAlbum or search3.

    A song has the time of its last play (`played`) and its `playCount`; a starred song that nobody played counts once,
    at the time of the star. Songs that were neither played nor starred count only in a playlist, once and undated. A
    song in several answers counts once.
    """

    name: ClassVar[str] = "Subsonic"
    export: ClassVar[str] = "answers of the API as JSON files, e.g. rest/getStarred2?f=json"

    @classmethod
    def claims(cls, file: HistoryFile) -> bool:
        """Objects with `subsonic-response`."""
        return file.head.lstrip().startswith(b"{") and f'"{_RESPONSE}"'.encode() in file.head

    def read(self, files: Sequence[HistoryFile]) -> Plays:
        """One row per song."""
        entries = {str(song["id"]): (song, listed) for file in files for song, listed in _songs(_answer(file), False)}
        songs = {name: entry for name, entry in entries.items() if _is_music(entry[0])}
        used = [row for song, listed in songs.values() if (row := _row(song, listed))]
        if not used:
            raise DataError(f"{files[0].name} has no song that was played, starred or in a playlist",
                            count=len(songs), fix="Get the answer of getStarred2 or getPlaylist.")  # fmt: skip
        table = pl.DataFrame(used, infer_schema_length=None)
        text = pl.col("time").cast(pl.String).str.replace("T", " ").str.strip_suffix("Z")
        times = text.str.to_datetime("%Y-%m-%d %H:%M:%S%.f", time_unit="us", strict=False)
        return Plays(
            plays_table(table.with_columns(times)),
            {"songs neither played nor starred": len(songs) - len(used),
             "videos, podcasts and audiobooks": len(entries) - len(songs)},
        )  # fmt: skip


def _answer(file: HistoryFile) -> Any:
    try:
        answer = json.loads(file.content())[_RESPONSE]
    except (ValueError, KeyError) as error:
        raise DataError(f"{file.name} is no complete answer of the API ({error})", fix="Get it again.") from error
    if isinstance(answer, dict) and answer.get("status") == "failed":
        reason = (answer.get("error") or {}).get("message", "no reason given")
        raise DataError(f"{file.name} holds no songs: the server refused the request ({reason})", fix="Get it again.")
    return answer


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
