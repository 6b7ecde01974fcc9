"""Table of the audio files in a folder."""

from __future__ import annotations

import os
from pathlib import Path

import polars as pl

from timbrec.embed.tracks import PATH, Listing, Track, check_local, list_tracks, printable, text
from timbrec.errors import DataError


def manifest_of(folder: Path, base: Path, ids: str | None = None) -> pl.DataFrame:
    """Return the tracks of a folder as a manifest (id, path), with paths relative to `base`; `ids` as in `list_tracks`.

    By default, paths that are equal up to the suffix ("a.flac" and "a.mp3") keep it in their ids. Raises DataError for
    file names with control characters or bytes that are not UTF-8.
    """
    if not check_local(folder).is_dir():
        raise DataError(f"{folder} is no folder", fix="Name a folder of audio files.")
    tracks = _listing(folder, ids).tracks
    if odd := [track for track in tracks if not str(track.path).isprintable()]:
        raise DataError(
            "the names of some files have control characters, or bytes that are not UTF-8",
            count=len(odd),
            example=printable(str(odd[0].path)),
            fix="Rename them.",
        )
    paths = [Path(os.path.relpath(track.path, base)).as_posix() for track in tracks]
    return pl.DataFrame({"id": [track.id for track in tracks], "path": paths}, {"id": pl.String, "path": pl.String})


def _listing(folder: Path, ids: str | None) -> Listing:
    if ids is not None:
        return list_tracks(folder, ids)
    try:
        return list_tracks(folder)
    except DataError:
        tracks = list_tracks(folder, PATH, distinct=False).tracks
        named = [Track(text(track.path.relative_to(folder).as_posix()), track.path) for track in tracks]
        return Listing(sorted(named), PATH)
