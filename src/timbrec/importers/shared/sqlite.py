"""Reader of SQLite databases, which never writes to them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote

import polars as pl

from timbrec.errors import DataError
from timbrec.importers.shared.files import HistoryFile

_MAGIC = b"SQLite format 3\x00"


@dataclass(frozen=True)
class Database:
    """An open database and the name of its file."""

    name: str
    connection: sqlite3.Connection

    @cached_property
    def tables(self) -> set[str]:
        """The names of its tables."""
        rows = self.connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        return {name for (name,) in rows}

    def columns(self, table: str) -> set[str]:
        """The names of the columns of a table."""
        return {row[1] for row in self.connection.execute(f"PRAGMA table_info({table})")}

    def read(self, query: str, schema: dict[str, Any]) -> pl.DataFrame:
        """The rows of a query."""
        return pl.DataFrame(self.connection.execute(query).fetchall(), schema=schema, orient="row", strict=False)


def is_database(file: HistoryFile) -> bool:
    """Whether a file starts as SQLite databases do."""
    return file.head.startswith(_MAGIC)


@contextmanager
def opened_database(file: HistoryFile) -> Iterator[Database]:
    """Open a database for reading. Raises DataError for one that is damaged, locked, or of another layout.

    Nothing is written beside the file, except by SQLite itself for a write-ahead log of a running server, with its
    index.
    """
    with file.on_disk() as path:
        log = path.with_name(f"{path.name}-wal")
        mode = "mode=ro" if log.is_file() and log.stat().st_size else "immutable=1"
        try:
            with closing(sqlite3.connect(f"file:{quote(str(Path(path).absolute()))}?{mode}", uri=True)) as connection:
                connection.text_factory = lambda data: data.decode("utf-8", "replace")
                yield Database(file.name, connection)
        except sqlite3.Error as error:
            raise DataError(f"{file.name} cannot be read as a database ({error})",
                            fix="Stop the server, copy the file again, and name the copy.") from error  # fmt: skip
