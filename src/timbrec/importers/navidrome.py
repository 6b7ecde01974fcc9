"""Navidrome: the database of a server."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import polars as pl

from timbrec.errors import DataError
from timbrec.importers.shared.base import Importer, Plays, plays_table
from timbrec.importers.shared.files import HistoryFile
from timbrec.importers.shared.moments import moment
from timbrec.importers.shared.sqlite import Database, is_database, opened_database

_ID = {"mbid": ("mbz_recording_id", "mbz_track_id"), "duration_s": ("duration",), "path": ("path",)}


@dataclass(frozen=True)
class Navidrome(Importer):
    """Plays in `navidrome.db`, which is opened for reading only.

    Newer servers store every scrobble with its time. Older ones store the number of plays of a track and the time of
    the last one: such a row has that time, and its plays. Plays that a newer server counted before it stored scrobbles
    have no time. Podcasts and radio stations are in other tables and not read.
    """

    name: ClassVar[str] = "Navidrome"
    export: ClassVar[str] = "the file navidrome.db in the server's data folder; a copy made while it is stopped is best"

    @classmethod
    def claims(cls, file: HistoryFile) -> bool:
        """SQLite databases with the tables media_file and annotation."""
        if not is_database(file):
            return False
        with opened_database(file) as database:
            return {"media_file", "annotation", "user"} <= database.tables

    def read(self, files: Sequence[HistoryFile]) -> Plays:
        """One row per scrobble, and per track with plays that no scrobble stands for."""
        parts = [self._plays(file) for file in files]
        deleted = sum(count for _, count in parts)
        return Plays(plays_table(pl.concat([plays for plays, _ in parts])), {"of tracks that were deleted": deleted})

    def _plays(self, file: HistoryFile) -> tuple[pl.DataFrame, int]:
        """The plays of a database, and the number of plays whose tracks were deleted from it."""
        with opened_database(file) as database:
            songs, scrobbles = _songs(database), _scrobbles(database)
            counts = database.read(
                "SELECT user_id, item_id AS id, play_count AS plays, CAST(play_date AS TEXT) AS last FROM annotation "
                "WHERE item_type = 'media_file' AND play_count > 0",
                {"user_id": pl.String, "id": pl.String, "plays": pl.Int64, "last": pl.String},
            )
            names = database.read("SELECT id AS user_id, user_name AS user FROM user",
                                  {"user_id": pl.String, "user": pl.String})  # fmt: skip
        dated = scrobbles.group_by("user_id", "id").agg(scrobbled=pl.len().cast(pl.Int64))
        rest = counts.join(dated, on=["user_id", "id"], how="left", maintain_order="left")
        rest = rest.select(
            "user_id", "id", time=pl.when(pl.col("scrobbled").is_null()).then(moment(pl.col("last"))),
            plays=pl.col("plays") - pl.col("scrobbled").fill_null(0),
        ).filter(pl.col("plays") > 0)  # fmt: skip
        plays = pl.concat([scrobbles.with_columns(plays=pl.lit(1, pl.Int64)), rest])
        plays = plays.join(names, on="user_id", how="left", maintain_order="left")
        plays = plays.with_columns(user=pl.coalesce("user", "user_id"))
        known = plays.join(songs, on="id", how="inner", maintain_order="left")
        if known.is_empty():
            raise DataError(f"{file.name} has no play of a track", fix="Name the database of a server that was used.")
        return plays_table(known.rename({"id": "source_id"})), int(plays["plays"].sum()) - int(known["plays"].sum())


def _songs(database: Database) -> pl.DataFrame:
    """The tracks of the library; columns that older servers lack are null."""
    columns = database.columns("media_file")
    parts = ["id", "artist", "title", "album"]
    for name, candidates in _ID.items():
        column = next((candidate for candidate in candidates if candidate in columns), "NULL")
        parts.append(f"{column} AS {name}")
    isrc = "CASE WHEN json_valid(tags) THEN json_extract(tags, '$.isrc[0].value') END" if "tags" in columns else "NULL"
    kinds = dict.fromkeys(("id", "artist", "title", "album", "mbid"), pl.String)
    schema = kinds | {"duration_s": pl.Float64, "path": pl.String, "isrc": pl.String}
    return database.read(f"SELECT {', '.join(parts)}, {isrc} AS isrc FROM media_file", schema)


def _scrobbles(database: Database) -> pl.DataFrame:
    """user_id, id and time of every scrobble; none on older servers."""
    schema = {"user_id": pl.String, "id": pl.String, "seconds": pl.Int64}
    if "scrobbles" not in database.tables:
        table = pl.DataFrame(schema=schema)
    else:
        song = "media_file_id" if "media_file_id" in database.columns("scrobbles") else "file_id"
        table = database.read(f"SELECT user_id, {song} AS id, submission_time AS seconds FROM scrobbles", schema)
    return table.select("user_id", "id", time=(pl.col("seconds") * 1_000_000).cast(pl.Datetime("us")))
