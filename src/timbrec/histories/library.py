"""Catalogues to match histories with: the tags of a folder of music, or a table."""

from __future__ import annotations

import re
from pathlib import Path

import polars as pl

from timbrec.data.tables import open_table
from timbrec.embed.tracks import check_local, list_tracks, text
from timbrec.errors import DataError
from timbrec.histories.tagging import tags_of
from timbrec.types import Progress

COLUMNS = ("artist", "album_artist", "title", "album", "duration_s", "mbid", "isrc", "acoustid", "path")
_IDS = ("track", "track_id", "item", "id")
_NUMBER = re.compile(r"^(?:\d{1,2}[-.])?\d{1,3}(?:\s*[-.]\s*|\s+)(?=\S)")  # "01 ", "1-03 - "


def library(folder: Path | str, ids: str | None = None, progress: Progress | None = None) -> pl.DataFrame:
    """The tracks of a folder of music with their tags: the columns track (the ids of `timbrec embed`), COLUMNS, date.

    `ids` is the kind of ids: stem, path, tag or tag:NAME. `source` says where artist and title come from: "tags",
    "file name" for files without these tags whose name is "Artist - Title", or "none" otherwise; `readable` is false
    for files that are damaged. Paths are relative to the folder. Raises DataError for a folder without audio.
    """
    root = check_local(folder)
    tracks = list_tracks(root, ids).tracks
    tags = tags_of([track.path for track in tracks], progress)
    base = root if root.is_dir() else root.parent
    table = pl.DataFrame({"track": [track.id for track in tracks], "path": [_relative(t.path, base) for t in tracks]})
    table = table.hstack(tags)
    named = pl.DataFrame(
        [names_of(Path(path).stem) for path in table["path"]], schema={"artist_": pl.String, "title_": pl.String},
        orient="row",
    )  # fmt: skip
    untagged = table["artist"].is_null() & table["title"].is_null()
    table = table.hstack(named).with_columns(
        source=pl.when(~untagged).then(pl.lit("tags")).when(pl.col("title_").is_null()).then(pl.lit("none"))
        .otherwise(pl.lit("file name")),
        artist=pl.when(untagged).then("artist_").otherwise("artist"),
        title=pl.when(untagged).then("title_").otherwise("title"),
    )  # fmt: skip
    return table.select("track", *COLUMNS, "date", "source", "readable")


def names_of(stem: str) -> tuple[str | None, str | None]:
    """Artist and title from a file name such as "01 - Artist - Title"; None for a name of another form."""
    artist, dash, title = _NUMBER.sub("", stem.replace("_", " ")).partition(" - ")
    return (artist.strip(), title.strip()) if dash and artist.strip() and title.strip() else (None, None)


def read_catalogue(path: Path | str) -> pl.DataFrame:
    """A catalogue from a table: the ids are in the column track, track_id, item or id; see `library` for the others.

    Raises DataError for a table or a row without ids, and without a column that names recordings.
    """
    table = open_table(Path(path))
    ids = next((name for name in _IDS if name in table.names), None)
    if ids is None:
        raise DataError(f"{path} has no column of track ids", example=table.names[:8], fix="Call it `track`.")
    known = [name for name in COLUMNS if name in table.names]
    if not {"title", "mbid", "isrc", "acoustid", "path"} & set(known):
        raise DataError(f"{path} names no recordings", example=table.names[:8],
                        fix=f"Add columns such as artist and title; known are {', '.join(COLUMNS)}.")  # fmt: skip
    rows = table.read([ids, *known]).rename({ids: "track"}).with_columns(pl.col("track").cast(pl.String))
    if missing := rows["track"].null_count():
        raise DataError(f"{path}: some rows have no track id", count=missing, fix="Give each track an id.")
    return rows.with_columns(pl.col(name).cast(pl.String) for name in known if name != "duration_s")


def _relative(path: Path, base: Path) -> str:
    return text((path.relative_to(base) if path.is_relative_to(base) else path).as_posix())
