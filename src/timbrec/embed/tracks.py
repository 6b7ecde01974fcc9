"""Which tracks there are: the audio files of a folder, or those a manifest names."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import polars as pl

from timbrec.audio import CONTAINERS
from timbrec.data.compression import plain_name
from timbrec.data.tables import KINDS, open_table
from timbrec.errors import DataError


class Track(NamedTuple):
    """A track's id and its file."""

    id: str
    path: Path


def find_tracks(source: Path | str) -> list[Track]:
    """The tracks of a folder, in order of their ids, or of a manifest, in its order.

    Of a folder: all files below it with a suffix of CONTAINERS, hidden ones and linked folders aside; the id is the
    file's name without suffix (bytes that are not UTF-8 become U+FFFD). A manifest is a table with columns
    id and path; ids are text as they stand, paths are relative to its folder. Raises DataError where there is
    nothing, or an id comes twice.
    """
    source = Path(source)
    if not source.exists():
        raise DataError(f"{source} does not exist", fix="Check the path.")
    tracks = _in_folder(source) if source.is_dir() else _in_manifest(source)
    if not tracks:
        raise DataError(f"there is no audio in {source}", fix=f"Looked for {', '.join(CONTAINERS)}.")
    first: dict[str, Path] = {}
    twice = [track for track in tracks if first.setdefault(track.id, track.path) is not track.path]
    if twice:
        raise DataError(
            f"{source}: two files have the same id: {first[twice[0].id]} and {twice[0].path}",
            count=len(twice),
            example=twice[0].id,
            fix="Rename one of them, or give a manifest with columns id and path.",
        )
    return tracks


def _in_folder(folder: Path) -> list[Track]:
    def refuse(error: OSError) -> None:
        raise DataError(f"{error.filename} cannot be listed: {error.strerror}", fix="Check its permissions.")

    found = []
    for where, _, names in os.walk(folder, onerror=refuse):
        there = Path(where)
        for name in names:
            stem, suffix = os.path.splitext(name)  # noqa: PTH122 - a path per name would take most of the walk
            if suffix.lower() in CONTAINERS and not name.startswith("."):
                found.append(Track(text(stem), there / name))
    return sorted(found)


def _in_manifest(path: Path) -> list[Track]:
    if Path(plain_name(path)).suffix.lower() not in KINDS:
        raise DataError(f"{path} is neither a folder nor a manifest", fix="Give a folder, or a table with id and path.")
    table = open_table(path).read(["id", "path"])
    table = table.select(pl.col("id", "path").cast(pl.String))
    if nothing := table.filter(pl.any_horizontal(pl.all().is_null() | (pl.all() == ""))).height:
        raise DataError(f"{path} has rows without id or path", count=nothing, fix="Fill them in.")
    return [Track(track, path.parent / file) for track, file in table.iter_rows()]


def text(name: str) -> str:
    """A file name as text: bytes that are not UTF-8 become U+FFFD."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
