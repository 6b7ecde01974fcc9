"""Jellyfin and Emby: the plays of the plugin Playback Reporting, or the counts of the server's library."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import polars as pl

from timbrec.data.times import TimeForm, parsed_times
from timbrec.errors import ConfigError
from timbrec.importers.shared.base import Importer, Plays, plays_table
from timbrec.importers.shared.csv_text import first_fields, read_csv
from timbrec.importers.shared.files import HistoryFile
from timbrec.importers.shared.jellyfin_library import has_library, library_plays
from timbrec.importers.shared.sqlite import is_database, opened_database

_COLUMNS = ("DateCreated", "UserId", "ItemId", "ItemType", "ItemName", "PlayDuration")
_PLACES = ("0", "1", "2", "3", "4", "8")  # of these columns in a backup
_NEEDED = ("DateCreated", "ItemType", "ItemName")  # of a table with a header
_DATE = re.compile(r"\d{4}-\d\d-\d\d( \d\d:\d\d:\d\d(\.\d+)?)?")
_NAME = r"^(.*?) - (.*?)(?: \(((?:[^()]|\([^()]*\))*)\))?$"  # Artist - Title (Album); all may have parentheses

_COUNTED = "the library has the time of a track's last play alone: all its plays are dated to it"


@dataclass(frozen=True)
class Jellyfin(Importer):
    """Plays of audio in `playback_reporting.db`, or in a backup that the plugin wrote (tab-separated, no header).

    A table with the columns of the database in its header is read as well, such as the answer to a query.
    Names are "Artist - Title (Album)". Times come from the server's clock, in `time_zone`. Users are ids, since their
    names are in another database. Films, series and other items are dropped and counted.

    Without the plugin, the server's own `library.db` or `jellyfin.db` says how often and when last a track was played,
    in UTC: a row has that time, and its plays. Beside files of the plugin, it is left out.
    """

    name: ClassVar[str] = "Jellyfin"
    export: ClassVar[str] = (
        "playback_reporting.db of the plugin Playback Reporting, or a backup of its settings page; "
        "else library.db or jellyfin.db of the server"
    )
    zoned: ClassVar[bool] = False

    @classmethod
    def claims(cls, file: HistoryFile) -> bool:
        """The plugin's database, its backups and tables, and the server's library."""
        if is_database(file):
            with opened_database(file) as database:
                return "PlaybackActivity" in database.tables or has_library(database)
        fields = first_fields(file)
        backup = len(fields) >= 9 and _DATE.fullmatch(fields[0]) and fields[3].isalpha() and fields[8].isdigit()
        return bool(backup) or _has_header(file)

    def read(self, files: Sequence[HistoryFile]) -> Plays:
        """One row per play, or per user and track of a library."""
        libraries = [file for file in files if _is_library(file)]
        reports = [file for file in files if file not in libraries]
        if not reports:
            return self._counted(libraries)
        left_out = (f"{libraries[0].name} was left out: the plugin has the time of each play",) if libraries else ()
        plays = self._reported(reports)
        return replace(plays, notes=(*plays.notes, *left_out))

    def _reported(self, files: Sequence[HistoryFile]) -> Plays:
        """One row per play of the plugin."""
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

    def _counted(self, files: Sequence[HistoryFile]) -> Plays:
        """One row per user and track of the last of the libraries: the newer server's, after an update."""
        if self.time_zone != "UTC":
            raise ConfigError("times of the server's library are in UTC already", example=self.time_zone,
                              fix="Leave the zone out.")  # fmt: skip
        newest = min(files, key=lambda file: file.base)  # jellyfin.db before library.db and library.db.old
        with opened_database(newest) as database:
            plays, others = library_plays(database)
        notes = [f"{file.name} was left out: {newest.name} is of a newer server" for file in files if file != newest]
        return Plays(plays, {"items that are no audio": others}, (_COUNTED, *notes))


def _is_library(file: HistoryFile) -> bool:
    if not is_database(file):
        return False
    with opened_database(file) as database:
        return "PlaybackActivity" not in database.tables


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
        present = database.columns("PlaybackActivity")
        columns = ", ".join(f"CAST({name} AS TEXT)" if name in present else "NULL" for name in _COLUMNS)
        return database.read(f"SELECT {columns} FROM PlaybackActivity", dict.fromkeys(_COLUMNS, pl.String))
