"""30Music: listening sessions of Last.fm users."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import unquote_plus

import polars as pl

from timbrec.data.events import Events, make_events
from timbrec.data.tables import open_table
from timbrec.datasets.shared.base import Dataset, reading, with_count
from timbrec.errors import DataError
from timbrec.store.vector_tables import LINES

_BETWEEN = "/_/"  # artist and title in the name of a track
_ID = pl.Struct({"id": pl.Int64})
_PLAY = pl.Struct({"id": pl.Int64, "playstart": pl.Float64, "playratio": pl.Float64})
_LINKED = pl.Struct({"subjects": pl.List(_ID), "objects": pl.List(_PLAY)})
_TRACK = pl.Struct({"artists": pl.List(_ID), "albums": pl.List(_ID)})


@dataclass(frozen=True)
class ThirtyMusic(Dataset):
    """31,351,945 plays of 45 thousand users in sessions.

    Files in the Idomaar format: relations/sessions.idomaar (type, id, time, properties, linked entities; the last two
    are separated by a blank) and entities/tracks.idomaar. The time of a play is that of its session plus `playstart`.
    Plays of less than `least_ratio` of the track are dropped and counted; those without a ratio stay.
    """

    least_ratio: float = 0.0

    name: ClassVar[str] = "30Music"
    licence: ClassVar[str] = "research use; data from Last.fm"
    citation: ClassVar[str] = (
        "Turrin, Quadrana, Condorelli, Pagano, Cremonesi: 30Music Listening and Playlists Dataset, RecSys 2015 posters"
    )
    url: ClassVar[str] = "http://recsys.deib.polimi.it/datasets/"

    def events(self) -> Events:
        """One row per play in a session."""
        path = self.file("relations/sessions.idomaar")
        with reading(path):
            plays = pl.concat([_session_plays(lines) for lines in _lines(path)])
            kept = plays.filter((pl.col("ratio") >= self.least_ratio).fill_null(True)).drop("ratio")
            events = make_events(kept)
        return with_count(events, "rows left out: short plays", len(plays) - len(kept))

    def items(self) -> pl.DataFrame:
        """`track_id`, `artist_id`, `album` (an id), `artist` and `title`."""
        path = self.file("entities/tracks.idomaar")
        with reading(path):
            return pl.concat([_tracks(lines) for lines in _lines(path)])

    def has_artists(self) -> bool:
        """Whether there is entities/tracks.idomaar."""
        return self.has_file("entities/tracks.idomaar")


def _lines(path: Path) -> Iterator[pl.Series]:
    for block in open_table(path, LINES).blocks(["0"]):
        yield block.to_series()


def _session_plays(lines: pl.Series) -> pl.DataFrame:
    parts = lines.str.extract_groups(r"^[^\t]*\t[^\t]*\t(-?\d+)\t.*?(\{\"subjects\".*\})\s*$").struct.unnest()
    parts.columns = ["time", "linked"]
    _refuse(lines, parts["linked"].is_null())
    rows = parts.with_columns(pl.col("time").cast(pl.Int64), pl.col("linked").str.json_decode(_LINKED)).unnest("linked")
    users = rows.with_columns(user=pl.col("subjects").list.first().struct.field("id"))
    plays = users.explode("objects").drop_nulls("objects").unnest("objects")
    seconds = pl.col("time") + pl.col("playstart").fill_null(0).cast(pl.Int64)
    return plays.select("user", item="id", time=(seconds * 1_000_000).cast(pl.Datetime("us")), ratio="playratio")


def _tracks(lines: pl.Series) -> pl.DataFrame:
    parts = lines.str.extract_groups(r"^track\t(\d+)\t[^\t]*\t(\{.*\})[\t ](\{.*\})\s*$").struct.unnest()
    parts.columns = ["track_id", "properties", "linked"]
    _refuse(lines, parts["track_id"].is_null())
    names = parts["properties"].str.json_decode(pl.Struct({"name": pl.String})).struct.field("name")
    linked = parts.select("track_id", pl.col("linked").str.json_decode(_TRACK)).unnest("linked")
    first: dict[str, Any] = {
        role: pl.col(kind).list.first().struct.field("id").cast(pl.String)
        for role, kind in (("artist_id", "artists"), ("album", "albums"))
    }
    known = pl.Series("name", [None if name is None else unquote_plus(name) for name in names], pl.String)
    named = known.str.splitn(_BETWEEN, 2).struct.rename_fields(["artist", "title"]).struct.unnest()
    titled = pl.col("title").is_not_null()
    whole = named.with_columns(title=pl.coalesce("title", "artist"), artist=pl.when(titled).then("artist"))
    return pl.concat([linked.select("track_id", **first), whole], how="horizontal")


def _refuse(lines: pl.Series, wrong: pl.Series) -> None:
    if wrong.any():
        raise DataError("lines are not in the Idomaar format", count=int(wrong.sum()), example=lines.filter(wrong)[0],
                        fix="Get the file again.")  # fmt: skip
