"""What came of the tracks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from timbrec.embed.tracks import Track, text

COLUMNS = dict.fromkeys(("id", "path", "reason"), pl.String)


@dataclass(frozen=True, eq=False)
class EmbedReport:
    """What came of the tracks: how many were encoded now (`done`), were known by their audio (`recognised`: renamed,
    retagged, or the same as another track), and were unchanged (`skipped`); the rest is in `failures`.

    Tables (id, path, reason): `failures`, files that have no vector, to be tried again by the next run, with the
    `encoder` whose failure it is, null where the file itself is at fault; `remarks`, files encoded now that something
    is odd about. `duplicates` (id, path, same_as): tracks with the audio of another one. `gone`: how many tracks have
    vectors and were not asked for; they are kept.
    """

    done: int
    skipped: int
    recognised: int
    failures: pl.DataFrame
    remarks: pl.DataFrame
    duplicates: pl.DataFrame
    gone: int = 0


def table(rows: list[tuple[Track, str]]) -> pl.DataFrame:
    """Tracks and reasons as a table."""
    data = [(track.id, text(str(track.path)), reason) for track, reason in rows]
    return pl.DataFrame(data, COLUMNS, orient="row")


def duplicates(tracks: Sequence[Track], known: pl.DataFrame) -> pl.DataFrame:
    """The tracks (id, path, same_as) whose audio another one has, that comes before them."""
    asked = pl.DataFrame({"id": [track.id for track in tracks]}, {"id": pl.String})
    with_audio = asked.join(known.select("id", "audio"), on="id", maintain_order="left")
    with_audio = with_audio.with_columns(same_as=pl.col("id").first().over("audio"))
    rows = with_audio.filter(pl.col("id") != pl.col("same_as"))
    paths = dict(zip(asked["id"], tracks, strict=True)) if len(rows) else {}
    return rows.select(
        "id", pl.Series("path", [text(str(paths[track].path)) for track in rows["id"]], pl.String), "same_as"
    )
