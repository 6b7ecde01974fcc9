"""The audio files of a data set's clips, by the patterns of their official names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from timbrec.data.ids import examples
from timbrec.errors import DataError
from timbrec.probes.shared.labels import Labels


def with_audio(labels: Labels, root: Path, patterns: Sequence[str], url: str, **columns: pl.Series) -> Labels:
    """The labels of the clips with existing audio, with its `path`; the others are counted in a remark.

    A pattern such as "audio/{id}.mp3" is filled from the columns of the tracks and from `columns`; of several patterns,
    the one with most files counts. Raises DataError, with the places searched, if there is no file at all.
    """
    rows = [dict(row) for row in labels.tracks.with_columns(pl.Series(name, values) for name, values in columns.items())
            .iter_rows(named=True)]  # fmt: skip
    if not root.is_dir():
        raise DataError(f"there is no folder {root}", fix=f"Get the audio from {url}.")
    best: list[Path | None] = []
    for pattern in patterns:
        paths = [path if (path := root / pattern.format(**row)).is_file() else None for row in rows]
        if sum(path is not None for path in paths) > sum(path is not None for path in best):
            best = paths
    if not best:
        places = " or ".join(pattern.format(**rows[0]) for pattern in patterns[:3])
        raise DataError(f"{root} has another layout: no file such as {places}", count=len(rows),
                        fix=f"Get the audio from {url}.")  # fmt: skip
    present = pl.Series([path is not None for path in best])
    audio = labels.of(present.to_numpy())
    tracks = audio.tracks.with_columns(path=pl.Series([str(path.resolve()) for path in best if path is not None]))
    missing = labels.tracks["id"].filter(~present)
    remarks = labels.remarks
    if len(missing):
        remarks = (*remarks, f"{len(missing):,} clips have no audio in {root}, e.g. {examples(missing)}; see {url}")
    return Labels(tracks, audio.kind, audio.values, audio.names, remarks)
