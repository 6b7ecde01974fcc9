"""Histories of listeners, matched to the tracks of a model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from timbrec.data.compression import plain_name
from timbrec.data.tables import KINDS, open_table
from timbrec.errors import ConfigError, DataError
from timbrec.histories import Matched, load_history, match
from timbrec.histories.reading import NOBODY, detect

_LEAVE_OUT = "Leave the time zone out."
IDS = ("track", "track_id", "item", "item_id")


def matched_history(paths: Sequence[Path], catalogue: pl.DataFrame, time_zone: str | None = None) -> Matched:
    """The plays of exports, or of tables of track ids, matched to a catalogue.

    A table that is no export and has a column `track`, `track_id`, `item` or `item_id` with ids of the catalogue needs
    no matching; `user` is read where it has one. `time_zone` is the zone of times without one in an export.
    Raises DataError where nothing matches, ConfigError for a zone that changes nothing.
    """
    ids = _ids_of(paths[0]) if len(paths) == 1 and not _is_export(paths[0]) else None
    if ids is not None and ids.is_empty():
        raise DataError(f"{paths[0]} has no rows", fix="Give a row per play, with the id of its track.")
    if ids is not None and ids["id"].null_count() == len(ids):
        raise DataError(f"{paths[0]} has no id of a track", count=len(ids), fix="Write one in each row.")
    if ids is not None and ids["id"].is_in(catalogue["track"].implode()).any():
        if time_zone is not None:
            raise ConfigError(f"{paths[0]} is a table of track ids, whose times are not read", fix=_LEAVE_OUT)
        return _matched(ids, catalogue)
    try:
        history = load_history(list(paths), time_zone=time_zone)
    except DataError as error:
        if ids is None:
            raise
        raise DataError(
            f"{paths[0]} has a column of track ids, and the model has none of them",
            count=ids["id"].drop_nulls().n_unique(), example=ids["id"].drop_nulls()[0],
            fix=f"An id of the model is {catalogue['track'][0]!r}: make them the same kind.",
        ) from error  # fmt: skip
    return match(history.plays, catalogue)


def _is_export(path: Path) -> bool:
    """Whether an importer reads the file: artists and titles make it no table of ids, even with a column `track`."""
    try:
        return bool(detect(path))
    except DataError:
        return False


def _ids_of(path: Path) -> pl.DataFrame | None:
    """The columns `id` and, if it has one, `user` of a table of plays by track id, as text; None for other files."""
    if not path.is_file() or Path(plain_name(path)).suffix.lower() not in KINDS:
        return None
    try:
        table = open_table(path)
        name = next(name for name in IDS if name in table.names)
        rows = table.read([name, *(column for column in ("user",) if column in table.names)])
    except (DataError, StopIteration):
        return None  # an importer says what is wrong with the file
    return rows.select(pl.col(name).alias("id"), *(column for column in ("user",) if column in rows.columns)).cast(
        pl.String
    )


def _matched(ids: pl.DataFrame, catalogue: pl.DataFrame) -> Matched:
    """The rows of a table with their ids as tracks, where the catalogue has these."""
    known = pl.col("id").is_in(catalogue["track"].implode())
    user = pl.col("user").fill_null(NOBODY) if "user" in ids.columns else pl.lit(NOBODY)
    pairs = ids.filter(known).select(
        user=user, track="id", time=pl.lit(None, pl.Datetime("us")), plays=pl.lit(1, pl.Int64)
    )
    how = ids.group_by("id", maintain_order=True).len("plays").select(
        "plays", method=pl.when(known).then(pl.lit("id")).otherwise(pl.lit("unmatched")),
        track=pl.when(known).then("id"), title="id",
    )  # fmt: skip
    return Matched(pairs, how)
