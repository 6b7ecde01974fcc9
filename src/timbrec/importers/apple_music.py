"""Apple Music: the play activity of Apple's data request."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import polars as pl

from timbrec.data.names import plain
from timbrec.importers.shared.base import Importer, Plays, plays_table
from timbrec.importers.shared.csv_text import first_fields, read_csv
from timbrec.importers.shared.files import HistoryFile
from timbrec.importers.shared.json_text import read_records

_ACTIVITY = {"Event Start Timestamp", "Play Duration Milliseconds"}
_TITLES = ("Song Name", "Content Name")  # the second in exports of before 2021
_COLUMNS = {
    "artist": "Artist Name", "album": "Album Name", "start": "Event Start Timestamp",
    "end": "Event End Timestamp", "played": "Play Duration Milliseconds", "length": "Media Duration In Milliseconds",
    "event": "Event Type", "kind": "Media Type",
}  # fmt: skip
_DESCRIBED = "Track Description"  # "Artist - Title"
_LIBRARY = {"Title", "Artist", "Album"}


@dataclass(frozen=True)
class AppleMusic(Importer):
    """Plays of `Apple Music Play Activity.csv`, which names no artist.

    The artist of a title comes from the other files of the request, where they agree on one: the descriptions "Artist -
    Title" of `Apple Music - Play History Daily Tracks.csv` and similar files, and `Apple Music Library Tracks.json`.
    Give the whole archive therefore. Rows that start or like a song, and videos, are dropped and counted.
    """

    name: ClassVar[str] = "Apple Music"
    export: ClassVar[str] = "privacy.apple.com, Request a copy of your data, Apple Media Services: a zip of zips"

    @classmethod
    def claims(cls, file: HistoryFile) -> bool:
        """The play activity, and files that name artists beside it."""
        return _is_activity(file) or _names_artists(file)

    def read(self, files: Sequence[HistoryFile]) -> Plays:
        """One row per end of a play."""
        activity = [file for file in files if _is_activity(file)]
        rows = pl.concat([_rows(file) for file in activity], how="diagonal") if activity else _rows_of_nothing()
        ends = rows.filter((pl.col("event") == "PLAY_END").fill_null(True))
        songs = ends.filter((pl.col("kind") != "VIDEO").fill_null(True))
        named = _with_artists(songs, [file for file in files if _names_artists(file)])
        dropped = {"events other than the end of a play": len(rows) - len(ends), "videos": len(ends) - len(songs)}
        lacking = named["artist"].null_count()
        notes = (f"{lacking:,} plays have no artist, since no file of the export names it",) if lacking else ()
        return Plays(plays_table(named), dropped, notes)


def _is_activity(file: HistoryFile) -> bool:
    fields = set(first_fields(file))
    return fields >= _ACTIVITY and not fields.isdisjoint(_TITLES)


def _names_artists(file: HistoryFile) -> bool:
    return _DESCRIBED in first_fields(file) or ("library tracks" in file.base and file.record.keys() >= _LIBRARY)


def _rows_of_nothing() -> pl.DataFrame:
    return pl.DataFrame(schema=dict.fromkeys(("title", *_COLUMNS), pl.String))


def _rows(file: HistoryFile) -> pl.DataFrame:
    table = read_csv(file)
    titles = pl.coalesce(name for name in _TITLES if name in table.columns)
    return table.select(
        titles.alias("title"),
        *(
            (pl.col(column) if column in table.columns else pl.lit(None, pl.String)).alias(name)
            for name, column in _COLUMNS.items()
        ),
    )


def _with_artists(songs: pl.DataFrame, files: Sequence[HistoryFile]) -> pl.DataFrame:
    """The plays with times, and with the artist that the other files give the title."""
    songs = songs.with_columns(key=plain(pl.col("title")))
    known = _artists(files)
    songs = songs.join(known, on="key", how="left", maintain_order="left")
    played = pl.col("played").cast(pl.Float64, strict=False)
    return songs.select(
        "title", "album",
        artist=pl.coalesce("artist", "artist_of_title"),
        time=pl.coalesce(_moment("start"), _moment("end") - pl.duration(milliseconds=played.cast(pl.Int64))),
        played_s=played / 1000,
        duration_s=pl.col("length").cast(pl.Float64, strict=False) / 1000,
    )  # fmt: skip


def _artists(files: Sequence[HistoryFile]) -> pl.DataFrame:
    """The artist of each title (in comparable form) that all files agree on."""
    parts = [pl.DataFrame(schema={"artist": pl.String, "title": pl.String})]
    for file in files:
        if _DESCRIBED in first_fields(file):
            names = read_csv(file)[_DESCRIBED].str.split_exact(" - ", 1).struct.rename_fields(["artist", "title"])
            parts.append(names.struct.unnest())
        else:
            table = read_records([file], dict.fromkeys(("Artist", "Title")))
            parts.append(table.select(artist="Artist", title="Title"))
    pairs = pl.concat(parts).drop_nulls().with_columns(key=plain(pl.col("title")), same=plain(pl.col("artist")))
    agreed = pairs.group_by("key").agg(
        pl.first("artist").alias("artist_of_title"), pl.n_unique("same").alias("artists")
    )
    return agreed.filter(pl.col("artists") == 1).drop("artists")


def _moment(column: str) -> pl.Expr:
    """Times such as 2023-01-15T14:27:00.123Z."""
    text = pl.col(column).str.strip_suffix("Z").str.replace("T", " ")
    return text.str.to_datetime("%Y-%m-%d %H:%M:%S%.f", time_unit="us", strict=False)
