"""Deezer: the workbook of its data request."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import polars as pl

from timbrec.data.times import TimeForm, parsed_times
from timbrec.errors import ConfigError, DataError
from timbrec.importers.shared.base import Importer, Plays, plays_table
from timbrec.importers.shared.csv_text import first_fields, read_csv
from timbrec.importers.shared.files import HistoryFile

_COLUMNS = {
    "title": "song title", "artist": "artist", "isrc": "isrc", "album": "album title", "played": "listening time",
    "time": "date",
}  # fmt: skip
_NEEDED = {"song title", "artist", "date"}


@dataclass(frozen=True)
class Deezer(Importer):
    """Plays of the workbook's sheet with the listening history: song title, artist, ISRC, album title and date.

    The listening time is in seconds. Addresses and devices are not read. Needs the extra `excel`.
    """

    name: ClassVar[str] = "Deezer"
    export: ClassVar[str] = "deezer.com, Account settings, My information, data request: an .xlsx file"
    zoned: ClassVar[bool] = False

    @classmethod
    def claims(cls, file: HistoryFile) -> bool:
        """Workbooks: files called .xlsx that start as zip archives do; and their history saved as CSV."""
        names = {name.strip().lower() for name in first_fields(file)}
        return (file.base.endswith(".xlsx") and file.head.startswith(b"PK")) or names >= _NEEDED

    def read(self, files: Sequence[HistoryFile]) -> Plays:
        """One row per play."""
        return Plays(plays_table(pl.concat([self._plays(file) for file in files])), notes=self.zone_note)

    def _plays(self, file: HistoryFile) -> pl.DataFrame:
        """The plays of all sheets with a listening history: a long one takes several."""
        sheets = [sheet for sheet in _sheets(file).values() if _lower(sheet).keys() >= _NEEDED]
        if not sheets:
            raise DataError(f"{file.name} has no sheet with a listening history",
                            fix="Name the workbook that Deezer sent.")  # fmt: skip
        return pl.concat([self._rows(sheet) for sheet in sheets])

    def _rows(self, sheet: pl.DataFrame) -> pl.DataFrame:
        names = _lower(sheet)
        columns = {role: names[name] for role, name in _COLUMNS.items() if name in names}
        text = sheet.select(pl.col(name).cast(pl.String).alias(role) for role, name in columns.items())
        rows = text.with_columns(pl.all().replace("", None))
        plays = rows.with_columns(parsed_times(rows["time"], TimeForm(self.time_zone)).alias("time"))
        if "played" in plays.columns:
            plays = plays.with_columns(played_s=pl.col("played").cast(pl.Float64, strict=False)).drop("played")
        return plays_table(plays)


def _lower(sheet: pl.DataFrame) -> dict[str, str]:
    """The columns of a sheet by their names in lower case."""
    return {column.strip().lower(): column for column in sheet.columns}


def _sheets(file: HistoryFile) -> dict[str, pl.DataFrame]:
    """All sheets of a workbook as text; a CSV file is one sheet."""
    if not file.head.startswith(b"PK"):
        return {file.name: read_csv(file)}
    try:
        return pl.read_excel(file.content(), sheet_id=0, infer_schema_length=0)
    except ModuleNotFoundError as error:
        raise ConfigError(f"{file.name} is a workbook, and its reader is not installed",
                          fix="Install it: pip install 'timbrec[excel]'.") from error  # fmt: skip
    except Exception as error:
        reason = str(error).partition("\n")[0][:100]
        raise DataError(f"{file.name} cannot be read as a workbook ({reason})", fix="Download it again.") from error
