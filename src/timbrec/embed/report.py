"""Outcome of a run: counts, and tables of failures, remarks and duplicates."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import polars as pl

from timbrec.embed.target import Target
from timbrec.embed.tracks import Track, text

COLUMNS = dict.fromkeys(("id", "path", "reason", "fix"), pl.String)


class Row(NamedTuple):
    """A failure or remark; `encoder` is None if the file itself is at fault."""

    track: Track
    encoder: str | None
    reason: str
    fix: str


@dataclass(frozen=True, eq=False)
class EmbedReport:
    """Outcome of a run.

    Counts of tracks: `done` were encoded; `recognised` have known audio (renamed, retagged, or equal to another track);
    `skipped` are unchanged; all others are in `failures`. `gone` tracks of the store are not in the folder or manifest.
    `aside` counts the folder's other files by suffix. `tracks` lists the ids of all tracks in the folder or manifest.

    Tables (id, path, reason, fix): `failures` are files without a vector, with the `encoder` that failed, null if the
    file itself is at fault; `remarks` are oddities of files with a vector. They include files that this run did not
    read again. `duplicates` (id, path, same_as) are tracks with the audio of another track.
    """

    done: int
    skipped: int
    recognised: int
    failures: pl.DataFrame
    remarks: pl.DataFrame
    duplicates: pl.DataFrame
    gone: int = 0
    aside: dict[str, int] = field(default_factory=dict)
    tracks: list[str] = field(default_factory=list)


def tables(
    tracks: Sequence[Track], targets: Sequence[Target], passing: Sequence[Row]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the failures and the remarks of all tracks, from the notes of the stores and from this run."""
    failures = list(dict.fromkeys([*_noted(tracks, targets, failed=True), *passing]))
    order = {track: number for number, track in enumerate(tracks)}
    failures.sort(key=lambda row: order[row.track])
    failed = {row.track for row in failures}
    remarks = [row for row in dict.fromkeys(_noted(tracks, targets, failed=False)) if row.track not in failed]
    encoders = pl.Series("encoder", [row.encoder for row in failures], pl.String)
    return _table(failures).with_columns(encoders), _table(remarks)


def duplicates(tracks: Sequence[Track], known: pl.DataFrame) -> pl.DataFrame:
    """Return the tracks (id, path, same_as) with the audio of an earlier track."""
    requested = pl.DataFrame({"id": [track.id for track in tracks]}, {"id": pl.String})
    with_audio = requested.join(known.select("id", "audio"), on="id", maintain_order="left")
    with_audio = with_audio.with_columns(same_as=pl.col("id").first().over("audio"))
    rows = with_audio.filter(pl.col("id") != pl.col("same_as"))
    paths = dict(zip(requested["id"], tracks, strict=True)) if len(rows) else {}
    return rows.select(
        "id", pl.Series("path", [text(str(paths[track].path)) for track in rows["id"]], pl.String), "same_as"
    )


def _noted(tracks: Sequence[Track], targets: Sequence[Target], failed: bool) -> Iterator[Row]:
    noted = set().union(*(target.notes.records for target in targets))
    for track in tracks:
        if track.id not in noted:
            continue
        for target in targets:
            record = target.notes.records.get(track.id)
            for note in record.notes if record else ():
                if note.failed == failed:
                    yield Row(track, target.output.card.name if note.own else None, note.reason, note.fix)


def _table(rows: Sequence[Row]) -> pl.DataFrame:
    data = [(row.track.id, text(str(row.track.path)), row.reason, row.fix) for row in rows]
    return pl.DataFrame(data, COLUMNS, orient="row")
