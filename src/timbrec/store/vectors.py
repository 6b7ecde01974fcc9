"""Vectors the user already has: arrays, `.npy` files with an id list, parquet tables, or a store of ours."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from functools import cached_property, partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import polars as pl

from timbrec.data.matrices import is_matrix, read_matrix
from timbrec.data.vocabulary import Vocabulary
from timbrec.errors import ConfigError, DataError
from timbrec.store import VectorSource, VectorStore
from timbrec.store.source import Ids, blocks, count_zeros, distinct_ids
from timbrec.types import Array

T = TypeVar("T")
Columns = Mapping[str, str | list[str]]


class Vectors(VectorSource):
    """An array (n, dim) of any real dtype and its n ids.

    `name` says in messages where they come from. Raises DataError for ids that are empty, repeated or neither strings
    nor whole numbers, for an array that has no row per id or no columns, and for values not finite in float32.
    """

    def __init__(self, ids: Ids, array: Array, name: str = "vectors") -> None:
        self.name, self._array = name, array
        self._known = Vocabulary(distinct_ids(ids, name))
        self._zeros = count_zeros(array, self._known.ids, "float32", name)

    @property
    def dim(self) -> int:
        """The vectors' length."""
        return int(self._array.shape[1])

    @property
    def zeros(self) -> int:
        """How many vectors are all zero."""
        return self._zeros

    @cached_property
    def digest(self) -> str:
        """A hash of the ids, their order and the float32 values, whatever file they were in; reads everything once."""
        content = hashlib.sha256(f"{self._known.digest} {self._array.shape}".encode())
        for _, block in blocks(self._array, "float32"):
            content.update(block.data)
        return content.hexdigest()

    @property
    def _vocabulary(self) -> Vocabulary:
        return self._known

    @property
    def _part_rows(self) -> list[int]:
        return [len(self._array)]

    def _part(self, number: int) -> Array:
        return self._array


def read_vectors(path: Path | str, ids: Path | str | None = None, columns: Columns | None = None) -> VectorSource:
    """Vectors of a `.npy` array (mapped, not loaded), a table, or the folder of a VectorStore.

    Tables are `.parquet`, and `.tsv` or `.csv`, also `.bz2` or `.gz`, such as Music4All-Onion's feature files.

    A `.npy` needs `ids`, a file with one id per row: `.txt` (a line each), `.csv` or `.tsv` (as text, so "007" stays
    "007"), `.parquet`, or `.npy` of whole numbers or strings. `columns` names the `id` column (by default "id", "ID",
    "track_id" or the only one) and, in a table, the `vector`: several columns of numbers (by default all but the id)
    or, in a parquet, one of lists or arrays. Raises DataError for files that do not hold this, ConfigError for
    `columns` that make no sense, and StoreError for a damaged store.
    """
    path, columns = Path(path), columns or {}
    if unknown := columns.keys() - {"id", "vector"}:
        raise ConfigError(f"{path}: `columns` has no key {min(unknown)!r}", fix="Its keys are id and vector.")
    if path.is_dir():
        return VectorStore.open(path)
    if path.suffix == ".parquet":
        return _table_vectors(path, columns)
    if is_matrix(path):
        return _text_vectors(path, columns)
    if path.suffix == ".npy" or not path.exists():
        array = _array(path)
        return Vectors(_ids(path, ids, columns), array, str(path))
    raise DataError(
        f"{path}: not a kind of vectors known here", fix="Give a .npy, .parquet, .tsv or .csv, or a vector store."
    )


def _ids(vectors: Path, ids: Path | str | None, columns: Columns) -> pl.Series:
    """The ids of a `.npy` from the file beside it."""
    if ids is None:
        raise DataError(f"{vectors}: a .npy has no ids in it", fix="Give `ids`, a file with one id per row.")
    path = Path(ids)
    if path.suffix in _SCANS:
        found: Ids = _table(path, lambda names: [_id_column(path, names, columns)]).to_series()
    elif path.suffix == ".npy":
        found = _id_array(path)
    elif path.suffix == ".txt" or not path.exists():
        found = _lines(path)
    else:
        raise DataError(f"{path}: not a kind of id list known here", fix="Give a .txt, .csv, .tsv, .parquet or .npy.")
    return distinct_ids(found, str(path))


def _lines(path: Path) -> pl.Series:
    content = _reading(path, Path.read_bytes)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(f"{path}: line {line:,} is not UTF-8", fix="Save the list as UTF-8.") from error
    return pl.Series("id", text.replace("\r\n", "\n").removesuffix("\n").split("\n"))


def _id_array(path: Path) -> Array:
    array = _array(path)
    if array.ndim != 1 or array.dtype.kind not in "iuU":
        raise DataError(
            f"{path}: {array.dtype} with shape {array.shape} is no list of ids",
            fix="Give one dimension of whole numbers or strings.",
        )
    return array


def _table_vectors(path: Path, columns: Columns) -> Vectors:
    """A parquet's id column, and its other columns as vectors."""
    table = _table(path, lambda names: _id_and_vector(path, names, columns))
    ids = distinct_ids(table.to_series(), str(path))
    return Vectors(ids, _matrix(table[:, 1:], ids, path), str(path))


def _text_vectors(path: Path, columns: Columns) -> Vectors:
    """A text table's id column, and its other columns as vectors."""
    ids, array = _reading(path, lambda file: read_matrix(file, lambda names: _id_and_vector(path, names, columns)))
    return Vectors(ids, array, str(path))


def _id_and_vector(path: Path, names: list[str], columns: Columns) -> list[str]:
    """The column of ids, then those of the vector."""
    id_column = _id_column(path, names, columns)
    asked = columns.get("vector", [name for name in names if name != id_column])
    vector = [asked] if isinstance(asked, str) else asked
    if missing := [name for name in vector if name not in names]:
        raise _no_column(path, names, missing[0])
    if len({id_column, *vector}) <= len(vector):
        raise ConfigError(f"{path}: `columns` names a column twice", example=vector, fix="Name each column once.")
    return [id_column, *vector]


def _matrix(table: pl.DataFrame, ids: pl.Series, path: Path) -> Array:
    """(rows, dim) float32 of one column of lists or of columns of numbers; nulls become NaN."""
    if table.width == 1 and isinstance(kind := table.dtypes[0], pl.List | pl.Array) and _is_numeric(kind.inner):
        return _nested(table.to_series().cast(pl.List(pl.Float32)), ids, path)
    if other := [name for name, kind in table.schema.items() if not _is_numeric(kind)]:
        raise DataError(
            f"{path}: some columns are no numbers",
            count=len(other),
            example=other[0],
            fix="Name the vector's columns in `columns`: one of lists, or several of numbers.",
        )
    return table.cast(pl.Float32).to_numpy(order="c")


def _nested(column: pl.Series, ids: pl.Series, path: Path) -> Array:
    lengths = column.list.len().fill_null(0)
    dim = int(lengths.mode().max() or 0)  # type: ignore[arg-type]  # a length is a number
    if len(odd := ids.filter(lengths != dim)):
        raise DataError(
            f"{path}: some vectors have other lengths than {dim}, the usual one",
            count=len(odd),
            example=odd[0],
            fix="Encode these tracks again, or leave them out.",
        )
    return column.cast(pl.Array(pl.Float32, dim)).to_numpy()


def _is_numeric(kind: object) -> bool:
    return isinstance(kind, pl.DataType) and kind.is_numeric()


def _table(path: Path, chosen: Callable[[list[str]], list[str]]) -> pl.DataFrame:
    """The columns of a table that `chosen` picks out of their names."""
    scan = _reading(path, _SCANS[path.suffix])
    names = _reading(path, lambda _: scan.collect_schema().names())
    columns = chosen(names)
    return _reading(path, lambda _: scan.select(columns).collect())


def _id_column(path: Path, names: list[str], columns: Columns) -> str:
    usual = next((name for name in ("id", "ID", "track_id") if name in names), names[0] if len(names) == 1 else "id")
    wanted = columns.get("id", usual)
    if not isinstance(wanted, str):
        raise ConfigError(f"{path}: `columns` names several ids", example=wanted, fix="Name one column.")
    if wanted not in names:
        raise _no_column(path, names, wanted)
    return wanted


def _no_column(path: Path, names: list[str], wanted: str) -> DataError:
    shown = ", ".join(names[:20]) + (f" and {len(names) - 20:,} more" if len(names) > 20 else "")
    return DataError(f"{path}: there is no column {wanted!r}", fix=f"It has: {shown}. Map the names under `columns`.")


def _array(path: Path) -> Array:
    """A `.npy` array, mapped; never unpickled."""

    def mapped(file: Path) -> Array:
        try:
            return np.lib.format.open_memmap(file, mode="r")
        except Exception as error:  # the header is parsed as Python: damage may raise anything
            raise ValueError(str(error)) from error

    return _reading(path, mapped)


def _reading(path: Path, read: Callable[[Path], T]) -> T:
    """What `read` makes of the file; how it fails, told in one way."""
    if not path.is_file():
        raise DataError(f"{path}: there is no such file", fix="Check the path.")
    if not path.stat().st_size:
        raise DataError(f"{path}: the file is empty", fix="Write it again.")
    try:
        return read(path)
    except (OSError, ValueError, OverflowError, pl.exceptions.PolarsError) as error:
        reason = str(error).partition("\n")[0]
        raise DataError(
            f"{path}: cannot be read ({reason})", fix="Check that it is complete, and UTF-8 if text."
        ) from error


_SCANS: dict[str, Callable[[Path], pl.LazyFrame]] = {
    ".csv": partial(pl.scan_csv, infer_schema=False, glob=False),
    ".tsv": partial(pl.scan_csv, infer_schema=False, glob=False, separator="\t"),
    ".parquet": partial(pl.scan_parquet, glob=False),
}
