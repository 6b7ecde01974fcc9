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
    """A data set in its official layout: the files of `folder`, unchanged and under their own names.

    Files are read by the methods that need them, compressed or not. A file that is missing or not as expected raises
    DataError with its name and its source. No data set is part of this project: `licence` and `citation` are those of
    its makers.
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
        """A table of the tracks: `track_id` (String, as in `events`) and more; None for data sets without one."""
        return None

    def vectors(self) -> dict[str, Vectors]:
        """Vectors that come with the data set or are computed from it, by name; empty for data sets without any."""
        return {}

    def file(self, name: str) -> Path:
        """A file of the data set, compressed or not. Raises DataError when it is not there."""
        path = Path(self.folder) / name
        for candidate in (path, *(path.with_name(name + suffix) for suffix in compression.SUFFIXES)):
            if candidate.is_file():
                return candidate
        raise DataError(f"{self.folder} has no file {name}", fix=f"Get {self.name} from {self.url}.")


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Errors inside the block as a DataError that names this file of a published data set."""
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
    """A file without header as text columns of these names: no quoting, empty values null."""
    return pl.concat(list(line_blocks(path, columns, separator, ragged=ragged)))


def line_blocks(
    path: Path, columns: list[str], separator: str = "\t", *, ragged: bool = False
) -> Iterator[pl.DataFrame]:
    """The rows of `read_lines`, a block of the file at a time."""
    with reading(path):
        table = open_table(path, TextForm(separator, header=False, quotes=False, ragged=ragged))
        if len(table.names) != len(columns):
            raise DataError(f"{path} has {len(table.names)} columns, not {len(columns)}", fix="Get the file again.")
        for block in table.blocks(table.names):
            yield block.rename(dict(zip(table.names, columns, strict=True)))
