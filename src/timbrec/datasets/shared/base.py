"""The base class of data sets, and readers for their files."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import polars as pl

from timbrec.data import compression
from timbrec.data.events import Events
from timbrec.data.tables import open_table
from timbrec.data.text import TextForm
from timbrec.errors import DataError
from timbrec.store.vectors import Vectors


@dataclass(frozen=True)
class Dataset(ABC):
    """A data set in its official layout: the original files, with their original names, in `folder`.

    Methods read only the files that they need, compressed or not. They raise DataError, with the file's name and
    source, for a file that is missing or has another layout. No data set is part of this project; `licence` and
    `citation` are its authors'.
    """

    folder: Path

    name: ClassVar[str]
    licence: ClassVar[str]
    citation: ClassVar[str]
    url: ClassVar[str]

    @abstractmethod
    def events(self) -> Events:
        """The listening log."""

    def items(self) -> pl.DataFrame | None:
        """The items table: `track_id` (String, as in `events`) and further columns; None for data sets without one."""
        return None

    def has_artists(self) -> bool:
        """Whether `items` gives an `artist_id`."""
        return False

    def vectors(self) -> dict[str, Vectors]:
        """Vectors by name, from files of the data set or computed from it; empty for data sets without vectors."""
        return {}

    def file(self, name: str) -> Path:
        """The path of a file, compressed or not. Raises DataError if it does not exist."""
        path = Path(self.folder) / name
        for candidate in (path, *(path.with_name(name + suffix) for suffix in compression.SUFFIXES)):
            if candidate.is_file():
                return candidate
        raise DataError(f"{self.folder} has no file {name}", fix=f"Get {self.name} from {self.url}.")


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn errors inside the block into a DataError with this file's name."""
    try:
        yield
    except DataError as error:
        if str(path) not in str(error):
            error.args = (f"{path}: {error}",)
        raise
    except pl.exceptions.PolarsError as error:
        reason = str(error).strip().splitlines()[0]
        raise DataError(f"{path} cannot be read: {reason}", fix="Get the file again.") from error


def read_lines(path: Path, columns: list[str], separator: str = "\t", *, ragged: bool = False) -> pl.DataFrame:
    """Read a file without header and quoting as text columns with these names; empty values are null."""
    return pl.concat(list(line_blocks(path, columns, separator, ragged=ragged)))


def line_blocks(
    path: Path, columns: list[str], separator: str = "\t", *, ragged: bool = False
) -> Iterator[pl.DataFrame]:
    """The rows of `read_lines` in blocks."""
    with reading(path):
        table = open_table(path, TextForm(separator, header=False, quotes=False, ragged=ragged))
        if len(table.names) != len(columns):
            raise DataError(f"{path} has {len(table.names)} columns, not {len(columns)}", fix="Get the file again.")
        for block in table.blocks(table.names):
            yield block.rename(dict(zip(table.names, columns, strict=True)))
