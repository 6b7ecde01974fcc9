"""ListenBrainz: exports, dumps, and answers of its API."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import polars as pl

from timbrec.importers.shared.base import Importer, Plays, plays_table
from timbrec.importers.shared.files import HistoryFile, json_lines
from timbrec.importers.shared.json_text import Fields, objects_at, read_records, whole_json

_FIELDS: Fields = {
    "listened_at": None,
    "timestamp": None,  # in dumps of before 2022
    "user_name": None,
    "recording_msid": None,
    "track_metadata": {
        "artist_name": None,
        "track_name": None,
        "release_name": None,
        "recording_mbid": None,
        "mbid_mapping": {"recording_mbid": None},
        "additional_info": dict.fromkeys(("recording_mbid", "isrc", "duration_ms", "duration")),
    },
}
_TRACK = "track_metadata"
_INFO = f"{_TRACK}.additional_info"


@dataclass(frozen=True)
class ListenBrainz(Importer):
    """Listens of ListenBrainz.

    Files: the JSON lines of an export (`listens/2023/1.jsonl`) or of a public dump (`.listens`), the single list of
    older exports, and answers of the API (`{"payload": {"listens": [...]}}`). A recording's MusicBrainz id is the one
    that the player submitted, else the one that ListenBrainz mapped the listen to.
    """

    name: ClassVar[str] = "ListenBrainz"
    export: ClassVar[str] = "listenbrainz.org, Settings, Export data: a zip of JSON lines"

    @classmethod
    def claims(cls, file: HistoryFile) -> bool:
        """Files with `track_metadata`, and answers of the API with `listens`."""
        return _TRACK in file.record or _is_answer(file)

    def read(self, files: Sequence[HistoryFile]) -> Plays:
        """One row per listen; a listen that is playing now has no time and is dropped."""
        table = read_records([_unwrapped(file) for file in files], _FIELDS)
        seconds = pl.coalesce("listened_at", "timestamp").cast(pl.Float64, strict=False)
        milliseconds = pl.col(f"{_INFO}.duration_ms").cast(pl.Float64, strict=False)
        plays = table.select(
            user="user_name",
            time=(seconds * 1_000_000).cast(pl.Int64).cast(pl.Datetime("us")),
            artist=f"{_TRACK}.artist_name",
            title=f"{_TRACK}.track_name",
            album=f"{_TRACK}.release_name",
            mbid=pl.coalesce(
                _id(f"{_INFO}.recording_mbid"),
                _id(f"{_TRACK}.recording_mbid"),
                _id(f"{_TRACK}.mbid_mapping.recording_mbid"),
            ),
            isrc=f"{_INFO}.isrc",
            duration_s=pl.coalesce(milliseconds / 1000, pl.col(f"{_INFO}.duration").cast(pl.Float64, strict=False)),
            source_id="recording_msid",
        )
        timed = plays.filter(pl.col("time").is_not_null())
        return Plays(plays_table(timed), {"listens without a time": len(plays) - len(timed)})


def _id(name: str) -> pl.Expr:
    """The column with empty values as nulls."""
    return pl.when(pl.col(name) != "").then(pl.col(name))


def _is_answer(file: HistoryFile) -> bool:
    start = file.head.lstrip()
    return start.startswith(b"{") and b'"listens"' in start and (b'"track_metadata"' in start or b'"payload"' in start)


def _unwrapped(file: HistoryFile) -> HistoryFile:
    """The file, or the listens of an answer of the API as JSON lines."""
    if _TRACK in file.record or not _is_answer(file):
        return file
    answer = whole_json(file)
    keys = ("payload", "listens") if "payload" in answer else ("listens",)
    return json_lines(file.name, objects_at(answer, keys, file.name))
