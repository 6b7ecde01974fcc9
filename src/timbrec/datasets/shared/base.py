"""What every data set offers, whatever its files look like."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import polars as pl

from timbrec.data.events import Events
from timbrec.errors import DataError
from timbrec.store.vectors import Vectors

_COMPRESSED = (".bz2", ".gz", ".zip")


@dataclass(frozen=True)
class Dataset(ABC):
    """A data set in its official layout: the files of `folder`, unchanged and under their own names.

    Nothing is read before it is asked for. A file that is missing or not as expected raises DataError, which says
    which one and where to get it. No data set is part of this project: `licence` and `citation` are their makers'.
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
        """What is known of the tracks: `track_id` (String, as in `events`) and more; None where nothing is."""
        return None

    def vectors(self) -> dict[str, Vectors]:
        """Vectors that come with the data set or are made of it, by name; empty where there are none."""
        return {}

    def file(self, name: str) -> Path:
        """A file of the data set. Raises DataError when it is not there, or only compressed."""
        path = Path(self.folder) / name
        if path.is_file():
            return path
        for packed in (path.with_name(name + suffix) for suffix in _COMPRESSED):
            if packed.is_file():
                raise DataError(f"{packed} is compressed", fix=f"Unpack it to {name}.")
        raise DataError(f"{self.folder} has no file {name}", fix=f"Get {self.name} from {self.url}.")


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Errors inside are about this file, and say so."""
    try:
        yield
    except DataError as error:
        error.args = (f"{path}: {error}",)
        raise
    except pl.exceptions.PolarsError as error:
        reason = str(error).strip().splitlines()[0]
        raise DataError(f"{path} cannot be read: {reason}", fix="Get the file again.") from error


def read_lines(path: Path, columns: list[str], separator: str = "\t") -> pl.DataFrame:
    """A headless file as text columns: no quoting, line ends of either kind, empty fields null."""
    with reading(path):
        return pl.read_csv(
            path, separator=separator, has_header=False, new_columns=columns, quote_char=None, infer_schema=False
        )
