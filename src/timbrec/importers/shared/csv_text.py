"""Reader of CSV files of exports as text columns."""

from __future__ import annotations

import csv

import polars as pl

from timbrec.data.faults import readable
from timbrec.data.text import TextForm, TextTable
from timbrec.errors import DataError
from timbrec.importers.shared.files import HistoryFile


def first_fields(file: HistoryFile) -> list[str]:
    """The values of the first line, whatever the separator; empty for files that are no text."""
    line = file.first_line
    if not line:
        return []
    separator = max(",;\t", key=line.count)
    return next(csv.reader([line], delimiter=separator), [])


def read_csv(file: HistoryFile, *, header: bool = True) -> pl.DataFrame:
    """All columns as text, empty values as null; without a header they are called "0", "1", ...

    Raises DataError, with the file's name, for lines that are no rows.
    """
    with file.on_disk() as path:
        try:
            with readable(path):
                table = TextTable(path, TextForm(header=header))
                return pl.concat(list(table.blocks(table.names)))
        except DataError as error:
            error.args = (str(error).replace(str(path), file.name),)
            raise
