"""The base class of data sets, and readers for their files."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
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

    def has_file(self, name: str) -> bool:
        """Whether a file exists, compressed or not."""
        return self._existing(name) is not None

    def file(self, name: str) -> Path:
        """The path of a file, compressed or not. Raises DataError if it does not exist."""
        if (path := self._existing(name)) is not None:
            return path
        raise DataError(f"{self.folder} has no file {name}", fix=f"Get {self.name} from {self.url}.")

    def _existing(self, name: str) -> Path | None:
        path = Path(self.folder) / name
        candidates = (path, *(path.with_name(path.name + suffix) for suffix in compression.SUFFIXES))
        return next((candidate for candidate in candidates if candidate.is_file()), None)


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


def headed_table(path: Path, columns: Mapping[str, str], optional: Sequence[str] = ()) -> pl.DataFrame:
    """Columns of a text table with a header, as text, under the names that `columns` gives them.

    Columns in `optional` may be absent. Raises DataError, with the file's name, for other missing columns.
    """
    with reading(path):
        table = open_table(path)
        given = {role: name for role, name in columns.items() if role not in optional or name in table.names}
        blocks = list(table.blocks(list(dict.fromkeys(given.values()))))
        rows = pl.concat(blocks) if blocks else pl.DataFrame(schema=dict.fromkeys(given.values(), pl.String))
        return rows.select(**{role: pl.col(name) for role, name in given.items()})


def with_count(events: Events, label: str, count: int) -> Events:
    """The events with a further fact, unless the count is 0."""
    return replace(events, facts=(*events.facts, (label, f"{count:,}"))) if count else events
