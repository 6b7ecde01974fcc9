"""Last.fm: CSV files of exporters, with and without a header, and the files of the data sets 1K and 360K."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import polars as pl

from timbrec.data.times import TimeForm, parsed_times
from timbrec.errors import ConfigError, DataError
from timbrec.importers.shared.base import Importer, Plays, plays_table
from timbrec.importers.shared.csv_text import first_fields, first_rows, read_csv
from timbrec.importers.shared.files import HistoryFile

_NAMES = {  # column: its names in headers, lower case
    "artist": ("artist", "artist_name", "artist name", "artistname"),
    "title": ("track", "title", "track_name", "track name", "trackname", "name", "song"),
    "album": ("album", "album_name", "album name", "release", "release_name"),
    "time": ("uts", "timestamp", "utc_time", "date", "time", "played_at", "datetime", "listened_at", "scrobbled_at"),
    "mbid": ("track_mbid", "recording_mbid", "mbid"),
    "user": ("user", "username", "user_name", "user_id"),
}
_DATE = re.compile(r"^\d{1,2} [A-Z][a-z]{2} \d{4},? \d{2}:\d{2}$")  # 06 Sep 2026, 14:23
_DAY, _CLOCK = re.compile(r"^\d{4}-\d{2}-\d{2}$"), re.compile(r"^\d{2}:\d{2}(:\d{2})?$")
_ISO = re.compile(r"^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}")
_ZONED = r"^\s*\d+\s*$|Z$|[+-]\d{2}:?\d{2}$"  # numbers since 1970, or text with a zone
_MILLISECONDS = 100_000_000_000  # numbers above are milliseconds: as seconds they lie beyond the year 5000


@dataclass(frozen=True)
class LastFM(Importer):
    """Scrobbles of Last.fm.

    Files with a header: columns for artist, title and time, and optionally album, MusicBrainz id and user, as written
    by mainstream.ghan.nl and lastfmstats.com, and similar ones. Files without: artist, album, title and date, as
    written by lastfm-to-csv; date, time, artist and title, as by lastfm-backup; the plays of the data set Last.fm 1K.
    Times are numbers since 1970, or text in `time_zone` unless it has a zone. The data set Last.fm 360K counts plays
    of artists and is refused.
    """

    name: ClassVar[str] = "Last.fm"
    export: ClassVar[str] = "a CSV file by mainstream.ghan.nl/export.html, lastfmstats.com or lastfm-to-csv"
    zoned: ClassVar[bool] = False

    @classmethod
    def claims(cls, file: HistoryFile) -> bool:
        """CSV files with a header that names artist, title and time, or with first values in a known order."""
        return bool(_columns(first_fields(file))) or _layout_of(file) != ""

    def read(self, files: Sequence[HistoryFile]) -> Plays:
        """One row per scrobble; rows without a time, which are playing now, are dropped."""
        parts = [self._plays(file) for file in files]
        table = plays_table(pl.concat([plays for plays, _ in parts], how="diagonal"))
        timed = table.filter(pl.col("time").is_not_null())
        notes = self.zone_note if any(unzoned for _, unzoned in parts) else ()
        return Plays(timed, {"scrobbles without a time": len(table) - len(timed)}, notes)

    def _plays(self, file: HistoryFile) -> tuple[pl.DataFrame, bool]:
        """The rows of a file, and whether their times are text without a zone."""
        columns = _columns(first_fields(file))
        layout = "" if columns else _layout_of(file)
        if layout == "360K":
            raise DataError(f"{file.name} counts plays of artists, and names no tracks",
                            fix="Use it as a data set: `dataset: {use: lastfm-360k, path: ...}`.")  # fmt: skip
        rows = read_csv(file, header=bool(columns))
        plays = rows.select(**columns) if columns else rows.select(**_LAYOUTS[layout])
        if (owner := re.search(r"Date#(\S+?)\"?$", file.first_line)) and "user" not in plays.columns:
            plays = plays.with_columns(user=pl.lit(owner[1]))
        try:
            zoned = plays["time"].str.contains(_ZONED).all()
            return plays.with_columns(self._times(plays["time"]).alias("time")), not zoned
        except DataError as error:
            error.args = (f"{file.name}: {error}",)
            raise

    def _times(self, times: pl.Series) -> pl.Series:
        """The column as times in UTC."""
        numbers = times.cast(pl.Int64, strict=False)
        if numbers.null_count() == times.null_count() < len(times):
            if self.time_zone != "UTC":
                raise ConfigError("numbers since 1970 have no time zone", example=self.time_zone, fix="Leave it out.")
            milliseconds = pl.select(pl.when(numbers > _MILLISECONDS).then(numbers).otherwise(numbers * 1000))
            return parsed_times(milliseconds.to_series(), TimeForm(unit="ms"))
        if times.drop_nulls().str.contains(_DATE.pattern).all():
            return parsed_times(times.str.replace(",", ""), TimeForm(self.time_zone, format="%d %b %Y %H:%M"))
        return parsed_times(times, TimeForm(self.time_zone))


_LAYOUTS = {
    "scrobbles": {"artist": pl.col("0"), "album": pl.col("1"), "title": pl.col("2"), "time": pl.col("3")},
    "backup": {"time": pl.col("0") + " " + pl.col("1"), "artist": pl.col("2"), "title": pl.col("3")},
    "1K": {"user": pl.col("0"), "time": pl.col("1"), "artist": pl.col("3"), "mbid": pl.col("4"), "title": pl.col("5")},
}


def _columns(fields: Sequence[str]) -> dict[str, str]:
    """The name of each column in a header; empty unless artist, title and time have one."""
    plain = {re.sub(r"#.*$", "", field).strip().lower(): field for field in fields}
    columns = {}
    for column, names in _NAMES.items():
        if name := next((plain[name] for name in names if name in plain), None):
            columns[column] = name
    return columns if {"artist", "title", "time"} <= columns.keys() else {}


def _layout_of(file: HistoryFile) -> str:
    """The layout by the first lines: the track that is playing while the file is written has no date."""
    return next(filter(None, map(_layout, first_rows(file, 3))), "")


def _layout(fields: Sequence[str]) -> str:
    """The layout of a file without a header, by its first values: scrobbles, backup, 1K or 360K; "" for others."""
    if len(fields) == 4 and _DATE.match(fields[3]):
        return "scrobbles"
    if len(fields) == 4 and _DAY.match(fields[0]) and _CLOCK.match(fields[1]):
        return "backup"
    if len(fields) == 6 and _ISO.match(fields[1]) and {len(fields[2]), len(fields[4])} <= {0, 36}:  # MusicBrainz ids
        return "1K"
    if len(fields) == 4 and re.fullmatch("[0-9a-f]{40}", fields[0]) and fields[3].strip().isdigit():
        return "360K"
    return ""
