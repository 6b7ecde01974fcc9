"""Spotify: the extended streaming history, and the streaming history of the account data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import polars as pl

from timbrec.importers.shared.base import Importer, Plays, plays_table
from timbrec.importers.shared.files import HistoryFile
from timbrec.importers.shared.json_text import Fields, read_records

_MASTER = "master_metadata"
_EXTENDED: Fields = dict.fromkeys(
    (
        "ts", "ms_played", f"{_MASTER}_track_name", f"{_MASTER}_album_artist_name", f"{_MASTER}_album_album_name",
        "spotify_track_uri", "episode_name", "audiobook_title", "incognito_mode",
    )
)  # fmt: skip
_ACCOUNT: Fields = dict.fromkeys(("endTime", "artistName", "trackName", "msPlayed", "podcastName"))


@dataclass(frozen=True)
class Spotify(Importer):
    """Plays of Spotify; other fields of the files, such as addresses and devices, are never read.

    Files of the extended streaming history: `Streaming_History_Audio_*.json` or `endsong_*.json`. Files of the account
    data, which go back one year: `StreamingHistory*.json`; only plays after the last one of the extended history are
    read from them. Spotify dates a play by its end; its time here is the end minus the time played. The artist is the
    artist of the album. Podcasts, audiobooks, tracks that Spotify no longer names and, without `private`, plays of
    private sessions are dropped and counted.
    """

    name: ClassVar[str] = "Spotify"
    export: ClassVar[str] = "spotify.com/account/privacy, Extended streaming history: a zip of JSON after some days"

    @classmethod
    def claims(cls, file: HistoryFile) -> bool:
        """Lists of objects with `ts` and `ms_played`, or with `endTime` and `msPlayed`."""
        return _is_extended(file) or {"endTime", "msPlayed"} <= file.record.keys()

    def read(self, files: Sequence[HistoryFile]) -> Plays:
        """One row per stream."""
        extended = [file for file in files if _is_extended(file)]
        account = [file for file in files if not _is_extended(file)]
        if not extended or not account:
            return self._extended(extended) if extended else self._account(account)
        plays, later = self._extended(extended), self._account(account)
        last = _ends(plays.table).max()
        table = later.table.filter(_ends(later.table) > last) if last is not None else later.table
        dropped = later.dropped | {"of the account data, in the extended history too": len(later.table) - len(table)}
        counts = {name: plays.dropped.get(name, 0) + dropped.get(name, 0) for name in plays.dropped | dropped}
        return Plays(pl.concat([plays.table, table]), counts)

    def _extended(self, files: Sequence[HistoryFile]) -> Plays:
        table = read_records(files, _EXTENDED)
        title = pl.col(f"{_MASTER}_track_name").is_not_null()
        rules = {
            "podcasts": title | pl.col("episode_name").is_null(),
            "audiobooks": title | pl.col("audiobook_title").is_null(),
            "streams without a title": title,
            "in private sessions": pl.lit(self.private) | (pl.col("incognito_mode") != "true").fill_null(True),
        }
        table, dropped = _kept(table, rules)
        plays = table.select(
            **_times("ts", "ms_played"),
            artist=f"{_MASTER}_album_artist_name",
            title=f"{_MASTER}_track_name",
            album=f"{_MASTER}_album_album_name",
            source_id="spotify_track_uri",
        )
        return Plays(plays_table(plays), dropped)

    def _account(self, files: Sequence[HistoryFile]) -> Plays:
        table = read_records(files, _ACCOUNT)
        unnamed = ((pl.col("trackName") == "Unknown Track") & (pl.col("artistName") == "Unknown Artist")).fill_null(
            False
        )
        rules = {
            "podcasts": pl.col("podcastName").is_null(),
            "streams without a title": pl.col("trackName").is_not_null() & ~unnamed,
        }
        table, dropped = _kept(table, rules)
        plays = table.select(**_times("endTime", "msPlayed"), artist="artistName", title="trackName")
        note = "account data of Spotify go back one year; ask for the extended streaming history to get all"
        return Plays(plays_table(plays), dropped, (note,))


def _is_extended(file: HistoryFile) -> bool:
    return {"ts", "ms_played"} <= file.record.keys()


def _ends(plays: pl.DataFrame) -> pl.Series:
    """The times at which plays ended, to the minute, as the account data have them."""
    played = pl.duration(milliseconds=(pl.col("played_s").fill_null(0) * 1000).round().cast(pl.Int64))
    return plays.select((pl.col("time") + played).dt.truncate("1m")).to_series()


def _kept(table: pl.DataFrame, rules: dict[str, pl.Expr]) -> tuple[pl.DataFrame, dict[str, int]]:
    """The rows that follow all rules, and the number of the others by the first rule that they break."""
    dropped = {}
    for reason, rule in rules.items():
        kept = table.filter(rule)
        dropped[reason] = len(table) - len(kept)
        table = kept
    return table, dropped


def _times(end: str, milliseconds: str) -> dict[str, pl.Expr]:
    """The time of the start, and the seconds played."""
    played = pl.col(milliseconds).cast(pl.Int64, strict=False)
    text = pl.col(end).str.strip_suffix("Z").str.replace("T", " ")
    minutes = text.str.to_datetime("%Y-%m-%d %H:%M", time_unit="us", strict=False)
    ended = pl.coalesce(text.str.to_datetime("%Y-%m-%d %H:%M:%S%.f", time_unit="us", strict=False), minutes)
    return {"time": ended - pl.duration(milliseconds=played.fill_null(0)), "played_s": played / 1000}
