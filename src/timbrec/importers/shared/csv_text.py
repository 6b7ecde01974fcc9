"""Reader of CSV files of exports as text columns."""

from __future__ import annotations

import csv

import polars as pl

from timbrec.data.faults import readable
from timbrec.data.text import TextForm, TextTable
from timbrec.errors import DataError
from timbrec.importers.shared.files import HistoryFile

_LINES = 1 << 14  # bytes in which the first lines are sought


def first_fields(file: HistoryFile) -> list[str]:
    """The values of the first line, for any separator; empty for files that are not text."""
    return next(iter(first_rows(file, 1)), [])


def first_rows(file: HistoryFile, count: int) -> list[list[str]]:
    """The values of the first lines, for any separator; none for files that are not text."""
    lines = [line.strip() for line in file.head[:_LINES].decode("utf-8", "replace").lstrip().splitlines()[:count]]
    if not file.first_line:
        return []
    separator = max(",;\t", key=lines[0].count)
    return list(csv.reader(lines, delimiter=separator))


def read_csv(file: HistoryFile, *, header: bool = True) -> pl.DataFrame:
    """All columns as text, empty values as null; without a header they are called "0", "1", ...

    A file with a header alone has no rows. Raises DataError, with the file's name, for lines that are not rows.
    """
    with file.on_disk() as path:
        try:
            with readable(path):
                table = TextTable(path, TextForm(header=header))
                blocks = list(table.blocks(table.names))
                return pl.concat(blocks) if blocks else pl.DataFrame(schema=dict.fromkeys(table.names, pl.String))
        except DataError as error:
            error.args = (str(error).replace(str(path), file.name),)
            raise
