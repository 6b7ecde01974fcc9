"""Plex: the library's database, and tables of Tautulli."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import polars as pl

from timbrec.data.times import TimeForm, parsed_times
from timbrec.importers.shared.base import Importer, Plays, plays_table
from timbrec.importers.shared.csv_text import first_fields, read_csv
from timbrec.importers.shared.files import HistoryFile
from timbrec.importers.shared.sqlite import Database, is_database, opened_database

_SERVER = {"metadata_item_views", "accounts"}  # tables of Plex
_MONITOR = {"session_history", "session_history_metadata"}  # tables of Tautulli
_TRACK = 10  # Plex's number for tracks
_TITLES = ("title", "parent_title", "grandparent_title")  # of the track, the album and the artist
_TIMES = ("started", "date", "viewed_at", "stopped")
_KINDS = ("media_type", "type")
_PLAYED = "play_duration"  # seconds
_USERS = ("friendly_name", "user", "username", "account")
_QUERY = """
SELECT views.title, views.parent_title, views.grandparent_title,
       CAST(CASE WHEN typeof(views.viewed_at) = 'text' THEN strftime('%s', views.viewed_at) ELSE views.viewed_at END
            AS INTEGER),
       accounts.name, views.guid
FROM metadata_item_views AS views LEFT JOIN accounts ON accounts.id = views.account_id
WHERE views.metadata_type = {track}
"""  # older servers write the time as text
_TAUTULLI = """
SELECT CAST(plays.started AS INTEGER) AS date, plays.user, plays.media_type, facts.title, facts.parent_title,
       facts.grandparent_title, facts.original_title, plays.stopped - plays.started - plays.paused_counter
FROM session_history AS plays JOIN session_history_metadata AS facts ON facts.id = plays.id
"""


@dataclass(frozen=True)
class Plex(Importer):
    """Plays of tracks in Plex.

    Files: the server's `com.plexapp.plugins.library.db` and Tautulli's `tautulli.db`, which are opened for reading
    only; and CSV tables of play histories, as tools write them, with the columns title, parent_title,
    grandparent_title and a time (started, date, viewed_at or stopped: a number since 1970, or text in `time_zone`);
    parentTitle and viewedAt are read as well. Rows of films and series are dropped and counted.
    """

    name: ClassVar[str] = "Plex"
    export: ClassVar[str] = "com.plexapp.plugins.library.db of the server, or tautulli.db, or a CSV of the play history"
    zoned: ClassVar[bool] = False

    @classmethod
    def claims(cls, file: HistoryFile) -> bool:
        """The databases, and tables with the titles of track, album and artist."""
        if is_database(file):
            with opened_database(file) as database:
                return database.tables >= _SERVER or database.tables >= _MONITOR
        fields = {_plain(field) for field in first_fields(file)}
        return set(_TITLES) <= fields and bool(fields & set(_TIMES))

    def read(self, files: Sequence[HistoryFile]) -> Plays:
        """One row per play."""
        parts = [self._part(file) for file in files]
        dropped = sum(count for _, count in parts)
        return Plays(pl.concat([plays for plays, _ in parts]), {"items that are no tracks": dropped})

    def _part(self, file: HistoryFile) -> tuple[pl.DataFrame, int]:
        """The plays of tracks in a file, and the number of its other rows."""
        if not is_database(file):
            table = read_csv(file)
            return self._table(table.rename({name: _plain(name) for name in table.columns}))
        with opened_database(file) as database:
            return _views(database) if database.tables >= _SERVER else self._table(_sessions(database))

    def _table(self, table: pl.DataFrame) -> tuple[pl.DataFrame, int]:
        kind = next((name for name in _KINDS if name in table.columns), None)
        rows = table if kind is None else table.filter((pl.col(kind) == "track").fill_null(False))
        time, user = (next((name for name in names if name in rows.columns), None) for names in (_TIMES, _USERS))
        artist = pl.coalesce(*(name for name in ("original_title", "grandparent_title") if name in rows.columns))
        plays = rows.select(
            "title", artist=artist, album="parent_title",
            time=parsed_times(rows[str(time)], TimeForm(self.time_zone)),
            user=pl.lit(None, pl.String) if user is None else pl.col(user),
            played_s=pl.col(_PLAYED).cast(pl.Float64, strict=False) if _PLAYED in rows.columns else None,
        )  # fmt: skip
        return plays_table(plays), len(table) - len(rows)


def _plain(column: str) -> str:
    """The name of a column as Tautulli writes it: "parentTitle" is "parent_title"."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", column.strip()).lower()


def _sessions(database: Database) -> pl.DataFrame:
    """The plays in Tautulli's database, with the columns of its tables."""
    names = ("date", "user", "media_type", *_TITLES, "original_title")
    return database.read(_TAUTULLI, dict.fromkeys(names, pl.String) | {_PLAYED: pl.Float64})


def _views(database: Database) -> tuple[pl.DataFrame, int]:
    """The views of tracks in a server's database, and the number of views of other items."""
    kinds = {"title": pl.String, "album": pl.String, "artist": pl.String, "seconds": pl.Int64, "user": pl.String}
    rows = database.read(_QUERY.format(track=_TRACK), kinds | {"source_id": pl.String})
    total = database.read("SELECT count(*) FROM metadata_item_views", {"count": pl.Int64}).item()
    time = (pl.col("seconds") * 1_000_000).cast(pl.Datetime("us"))
    return plays_table(rows.with_columns(time=time)), int(total) - len(rows)
