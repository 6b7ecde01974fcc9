"""Plex: the library's database, and tables of Tautulli."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import polars as pl

from timbrec.data.times import TimeForm, parsed_times
from timbrec.importers.shared.base import Importer, Plays, plays_table
from timbrec.importers.shared.csv_text import first_fields, read_csv
from timbrec.importers.shared.files import HistoryFile
from timbrec.importers.shared.sqlite import is_database, opened_database

_TRACK = 10  # Plex's number for tracks
_TITLES = ("title", "parent_title", "grandparent_title")  # of the track, the album and the artist
_TIMES = ("started", "date", "viewed_at", "stopped")
_PLAYED = "play_duration"  # seconds
_USERS = ("friendly_name", "user", "username", "account")
_QUERY = """
SELECT views.title, views.parent_title, views.grandparent_title, CAST(views.viewed_at AS INTEGER), accounts.name,
       views.guid
FROM metadata_item_views AS views LEFT JOIN accounts ON accounts.id = views.account_id
WHERE views.metadata_type = {track}
"""


@dataclass(frozen=True)
class Plex(Importer):
    """Plays of tracks in Plex.

    Files: the server's `com.plexapp.plugins.library.db`, which is opened for reading only; and CSV tables of play
    histories, as Tautulli and other tools write them, with the columns title, parent_title, grandparent_title and a
    time (started, date, viewed_at or stopped: a number since 1970, or text in `time_zone`). Rows of films and series
    are dropped and counted.
    """

    name: ClassVar[str] = "Plex"
    export: ClassVar[str] = "com.plexapp.plugins.library.db of the server, or a CSV of the play history by Tautulli"
    zoned: ClassVar[bool] = False

    @classmethod
    def claims(cls, file: HistoryFile) -> bool:
        """The server's database, and tables with the titles of track, album and artist."""
        if is_database(file):
            with opened_database(file) as database:
                return {"metadata_item_views", "accounts"} <= database.tables
        fields = {field.lower() for field in first_fields(file)}
        return set(_TITLES) <= fields and bool(fields & set(_TIMES))

    def read(self, files: Sequence[HistoryFile]) -> Plays:
        """One row per play."""
        parts = [_views(file) if is_database(file) else self._table(file) for file in files]
        dropped = sum(count for _, count in parts)
        return Plays(pl.concat([plays for plays, _ in parts]), {"items that are no tracks": dropped})

    def _table(self, file: HistoryFile) -> tuple[pl.DataFrame, int]:
        table = read_csv(file)
        table = table.rename({name: name.lower() for name in table.columns})
        rows = (
            table.filter((pl.col("media_type") == "track").fill_null(False)) if "media_type" in table.columns else table
        )
        time, user = (next((name for name in names if name in rows.columns), None) for names in (_TIMES, _USERS))
        artist = pl.coalesce(*(name for name in ("original_title", "grandparent_title") if name in rows.columns))
        plays = rows.select(
            "title", artist=artist, album="parent_title",
            time=parsed_times(rows[str(time)], TimeForm(self.time_zone)),
            user=pl.lit(None, pl.String) if user is None else pl.col(user),
            played_s=pl.col(_PLAYED).cast(pl.Float64, strict=False) if _PLAYED in rows.columns else None,
        )  # fmt: skip
        return plays_table(plays), len(table) - len(rows)


def _views(file: HistoryFile) -> tuple[pl.DataFrame, int]:
    """The views of tracks in a server's database, and the number of views of other items."""
    kinds = {"title": pl.String, "album": pl.String, "artist": pl.String, "seconds": pl.Int64, "user": pl.String}
    with opened_database(file) as database:
        rows = database.read(_QUERY.format(track=_TRACK), kinds | {"source_id": pl.String})
        total = database.read("SELECT count(*) FROM metadata_item_views", {"count": pl.Int64}).item()
    time = (pl.col("seconds") * 1_000_000).cast(pl.Datetime("us"))
    return plays_table(rows.with_columns(time=time)), int(total) - len(rows)
