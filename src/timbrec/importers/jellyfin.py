"""Jellyfin and Emby: the plays of the plugin Playback Reporting."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import polars as pl

from timbrec.data.times import TimeForm, parsed_times
from timbrec.errors import DataError
from timbrec.importers.shared.base import Importer, Plays, plays_table
from timbrec.importers.shared.csv_text import first_fields, read_csv
from timbrec.importers.shared.files import HistoryFile
from timbrec.importers.shared.sqlite import is_database, opened_database

_SERVER = ({"TypedBaseItems", "UserDatas"}, {"BaseItems", "UserData"})  # tables of library.db and jellyfin.db
_COLUMNS = ("DateCreated", "UserId", "ItemId", "ItemType", "ItemName", "PlayDuration")
_PLACES = ("0", "1", "2", "3", "4", "8")  # of these columns in a backup
_NEEDED = ("DateCreated", "ItemType", "ItemName")  # of a table with a header
_ID = re.compile(r"[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)  # of a user
_NAME = r"^(.*?) - (.*?)(?: \(((?:[^()]|\([^()]*\))*)\))?$"  # Artist - Title (Album); all may have parentheses


@dataclass(frozen=True)
class Jellyfin(Importer):
    """Plays of audio in `playback_reporting.db`, or in a backup that the plugin wrote (tab-separated, no header).

    A table with the columns of the database in its header is read as well, such as the answer to a query.
    Names are "Artist - Title (Album)". Times come from the server's clock, in `time_zone`. Users are ids, since their
    names are in another database. Films, series and other items are dropped and counted.
    """

    name: ClassVar[str] = "Jellyfin"
    export: ClassVar[str] = "playback_reporting.db of the plugin Playback Reporting, or a backup of its settings page"
    zoned: ClassVar[bool] = False

    @classmethod
    def claims(cls, file: HistoryFile) -> bool:
        """The plugin's database, and its backups; the server's own database, which `read` refuses."""
        if is_database(file):
            with opened_database(file) as database:
                return "PlaybackActivity" in database.tables or any(map(database.tables.issuperset, _SERVER))
        fields = first_fields(file)
        return _has_header(file) or (len(fields) >= 9 and bool(_ID.fullmatch(fields[1])) and fields[8].isdigit())

    def read(self, files: Sequence[HistoryFile]) -> Plays:
        """One row per play."""
        rows = pl.concat([_rows(file) for file in files])
        audio = rows.filter(ItemType="Audio")
        names = audio["ItemName"].str.extract_groups(_NAME).struct.rename_fields(["artist", "title", "album"])
        plays = audio.select(
            user="UserId", time=parsed_times(audio["DateCreated"], TimeForm(self.time_zone)), source_id="ItemId",
            played_s=pl.col("PlayDuration").cast(pl.Float64, strict=False), whole="ItemName",
        ).hstack(names.struct.unnest())  # fmt: skip
        plays = plays.with_columns(pl.coalesce("title", "whole").alias("title"))
        unknown = pl.col("artist", "album").replace("Not Known", None)
        dropped = {"items that are no audio": len(rows) - len(audio)}
        return Plays(plays_table(plays.with_columns(unknown)), dropped, self.zone_note)


def _has_header(file: HistoryFile) -> bool:
    return set(_NEEDED) <= set(first_fields(file))


def _rows(file: HistoryFile) -> pl.DataFrame:
    """The columns _COLUMNS as text."""
    if _has_header(file):
        table = read_csv(file)
        return table.match_to_schema(
            dict.fromkeys(_COLUMNS, pl.String), missing_columns="insert", extra_columns="ignore"
        )
    if not is_database(file):
        return read_csv(file, header=False).select(pl.col(_PLACES)).rename(dict(zip(_PLACES, _COLUMNS, strict=True)))
    with opened_database(file) as database:
        if "PlaybackActivity" not in database.tables:
            raise DataError(f"{file.name} is the server's library, which has no time of each play",
                            fix="Install the plugin Playback Reporting, and name playback_reporting.db.")  # fmt: skip
        columns = ", ".join(f"CAST({name} AS TEXT)" for name in _COLUMNS)
        return database.read(f"SELECT {columns} FROM PlaybackActivity", dict.fromkeys(_COLUMNS, pl.String))
