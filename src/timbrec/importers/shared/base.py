"""The base class of importers, and the table of plays that they return."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import polars as pl

from timbrec.importers.shared.files import HistoryFile

COLUMNS: dict[str, Any] = {
    "user": pl.String,
    "time": pl.Datetime("us"),
    "artist": pl.String,
    "title": pl.String,
    "album": pl.String,
    "mbid": pl.String,
    "isrc": pl.String,
    "acoustid": pl.String,
    "duration_s": pl.Float64,
    "played_s": pl.Float64,
    "path": pl.String,
    "source_id": pl.String,
    "plays": pl.Int64,
}


@dataclass(frozen=True)
class Plays:
    """The plays of an export. `table` has the columns COLUMNS; `dropped` counts the other rows by reason."""

    table: pl.DataFrame
    dropped: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Importer(ABC):
    """Reads the exports of one source.

    `time_zone` is the zone of times that are written without one; importers with `zoned` get all times in UTC and do
    not need it. `private` keeps plays of private sessions, which are otherwise dropped and counted.
    """

    time_zone: str = "UTC"
    private: bool = False

    name: ClassVar[str]
    export: ClassVar[str]  # how to get the export, one sentence
    zoned: ClassVar[bool] = True

    @property
    def zone_note(self) -> tuple[str, ...]:
        """A note on clock times that were read as UTC because no zone was given; empty if there were none."""
        return ("times without a zone were read as UTC; `time_zone` names another",) if self.time_zone == "UTC" else ()

    @classmethod
    @abstractmethod
    def claims(cls, file: HistoryFile) -> bool:
        """Whether the file is an export of this source, by its name and first bytes."""

    @abstractmethod
    def read(self, files: Sequence[HistoryFile]) -> Plays:
        """The plays of these files, which `claims` accepted. Raises DataError, with the file's name."""


def plays_table(frame: pl.DataFrame) -> pl.DataFrame:
    """The frame with exactly the columns COLUMNS: missing ones are null, and one play per row without `plays`."""
    missing = [pl.lit(None).alias(name) for name in COLUMNS if name not in frame.columns and name != "plays"]
    one_play = [] if "plays" in frame.columns else [pl.lit(1).alias("plays")]
    return frame.with_columns(*missing, *one_play).select(*COLUMNS).cast(COLUMNS)  # type: ignore[arg-type]
