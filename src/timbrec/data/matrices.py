"""Large text tables of numbers, a row per track, read block by block into one float32 matrix."""

from __future__ import annotations

import bz2
import gzip
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BufferedIOBase, BytesIO
from pathlib import Path
from zlib import error as ZlibError  # noqa: N812 - it is a class

import numpy as np
import polars as pl

from timbrec.errors import DataError
from timbrec.types import Array, Float32

SEPARATORS = {".tsv": "\t", ".csv": ","}
_OPENERS: dict[str, Callable[[Path], BufferedIOBase]] = {".bz2": bz2.BZ2File, ".gz": gzip.GzipFile}
_BLOCK = 32 << 20  # bytes of text


def is_matrix(path: Path) -> bool:
    """Whether its name is that of a text table, compressed or not."""
    return _kind(path) in SEPARATORS


def read_matrix(
    path: Path, chosen: Callable[[list[str]], list[str]]
) -> tuple[pl.Series, Float32[Array, "rows columns"]]:
    """The ids, as text, and the numbers of a .tsv or .csv with a header, also .bz2 and .gz.

    `chosen` picks the columns out of the header's names: the id's first, then those of numbers. Held in memory are the
    matrix and one block of text. Raises DataError for what is no number, for missing values, and for tables that are
    cut short, ragged or without rows.
    """
    with _opened(path) as file:
        names = _names(file.readline(), SEPARATORS[_kind(path)])
        id_column, *columns = chosen(names)
        if not columns:
            raise DataError(f"{path}: there are no columns of numbers beside {id_column!r}", fix="Get the file again.")
        ids: list[pl.Series] = []
        matrix, filled = np.empty((0, len(columns)), np.float32), 0
        for text in _blocks(file):
            table = _parsed(text, names, columns, path).select(id_column, *columns)
            _refuse_missing(table, path)
            needed = filled + len(table)
            if needed > len(matrix):  # in place where the system can move pages
                matrix.resize((max(needed, 2 * len(matrix)), len(columns)), refcheck=False)
            matrix[filled:needed] = table[:, 1:].to_numpy()
            ids.append(table[id_column])
            filled = needed
    if not filled:
        raise DataError(f"{path}: there are no rows below the header", fix="Get the file again.")
    matrix.resize((filled, len(columns)), refcheck=False)
    return pl.concat(ids).alias("id"), matrix


def _kind(path: Path) -> str:
    return (path.with_suffix("") if path.suffix in _OPENERS else path).suffix


def _names(header: bytes, separator: str) -> list[str]:
    names = header.decode("utf-8-sig").rstrip("\r\n").split(separator)
    return [name.strip('"') for name in names] if separator == "," else names


@contextmanager
def _opened(path: Path) -> Iterator[BufferedIOBase]:
    """The file's bytes, unpacked; what unpacking raises is told in our words."""
    try:
        with _OPENERS[path.suffix](path) if path.suffix in _OPENERS else path.open("rb") as file:
            yield file
    except (EOFError, OSError, ZlibError) as error:
        raise DataError(f"{path} is cut short or damaged ({error})", fix="Get it again.") from error


def _blocks(file: BufferedIOBase) -> Iterator[bytes]:
    """The rest of the file in pieces of whole lines."""
    while block := file.read(_BLOCK):
        yield block if block.endswith(b"\n") else block + file.readline()


def _parsed(text: bytes, names: list[str], columns: list[str], path: Path) -> pl.DataFrame:
    separator = SEPARATORS[_kind(path)]
    schema = {name: pl.Float32 if name in columns else pl.String for name in names}
    try:
        return pl.read_csv(
            BytesIO(text),
            has_header=False,
            separator=separator,
            quote_char='"' if separator == "," else None,
            schema=schema,
        )
    except pl.exceptions.PolarsError as error:
        reason = str(error).partition("\n")[0]
        raise DataError(f"{path} is no table of ids and numbers: {reason}", fix="Get the file again.") from error


def _refuse_missing(table: pl.DataFrame, path: Path) -> None:
    short = table.filter(pl.any_horizontal(pl.all().is_null()))
    if len(short):
        raise DataError(
            f"{path}: some rows lack values", count=len(short), example=short.item(0, 0), fix="Get the file again."
        )
