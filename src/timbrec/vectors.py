"""Vectors the user already has: arrays, `.npy` files with an id list, parquet tables, or a store of ours."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import numpy as np
import polars as pl

from timbrec.errors import ConfigError, DataError
from timbrec.store import VectorSource, VectorStore
from timbrec.store.source import Ids, blocks, count_zeros, distinct_ids
from timbrec.types import Array
from timbrec.vocabulary import Vocabulary

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
    """Vectors of a `.npy` array (mapped, not loaded), a `.parquet` table, or the folder of a VectorStore.

    A `.npy` needs `ids`, a file with one id per row: `.txt` (a line each), `.csv` or `.tsv` (as text, so "007" stays
    "007"), `.parquet`, or `.npy` of whole numbers or strings. `columns` names the `id` column (default: "id", or the
    only one) and, in a parquet, the `vector` column of lists or arrays, or several columns of numbers (default: all
    but the id). Raises DataError for files that do not hold this.
    """
    path, columns = Path(path), dict(columns or {})
    if unknown := columns.keys() - {"id", "vector"}:
        raise ConfigError(f"{path}: `columns` has no key {min(unknown)!r}", fix="Its keys are id and vector.")
    if path.is_dir():
        return VectorStore.open(path)
    if path.suffix == ".npy":
        return Vectors(_read_ids(path, ids, columns.get("id")), _load(path), str(path))
    if path.suffix == ".parquet":
        return _read_table(path, columns)
    raise DataError(f"{path}: not a kind of vectors known here", fix="Give a .npy, a .parquet or a vector store.")


def _read_ids(vectors: Path, ids: Path | str | None, column: object) -> Ids:
    """The ids of a `.npy` from the file beside it."""
    if ids is None:
        raise DataError(f"{vectors}: a .npy has no ids in it", fix="Give `ids`, a file with one id per row.")
    path = Path(ids)
    if path.suffix == ".txt":
        return _lines(path)
    if path.suffix == ".npy":
        return _id_array(path)
    if path.suffix not in _TABLES:
        raise DataError(f"{path}: not a kind of id list known here", fix="Give a .txt, .csv, .tsv, .parquet or .npy.")
    table = _reading(path, _TABLES[path.suffix])
    return table[_id_column(path, table.columns, column)]


def _lines(path: Path) -> pl.Series:
    content = _reading(path, Path.read_bytes)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(f"{path}: line {line:,} is not UTF-8", fix="Save the list as UTF-8.") from error
    return pl.Series("id", text.replace("\r\n", "\n").removesuffix("\n").split("\n") if text else [], dtype=pl.String)


def _id_array(path: Path) -> Array:
    array = _load(path)
    if array.ndim != 1 or array.dtype.kind not in "iuU":
        raise DataError(
            f"{path}: an array of {array.dtype} with shape {array.shape} is no list of ids",
            fix="Give one dimension of whole numbers or strings.",
        )
    return array


def _read_table(path: Path, columns: Columns) -> Vectors:
    """A parquet's id column, and the others as vectors."""
    names = list(_reading(path, pl.read_parquet_schema))
    id_column = _id_column(path, names, columns.get("id"))
    asked = columns.get("vector", [name for name in names if name != id_column])
    chosen = [asked] if isinstance(asked, str) else asked
    if missing := [name for name in chosen if name not in names]:
        raise _no_column(path, names, missing[0])
    table = _reading(path, lambda file: pl.read_parquet(file, columns=[id_column, *chosen]))
    ids = distinct_ids(table[id_column], str(path))
    return Vectors(ids, _matrix(table.select(chosen), ids, path), str(path))


def _matrix(table: pl.DataFrame, ids: pl.Series, path: Path) -> Array:
    """(rows, dim) float32 of one column of lists or of columns of numbers; nulls become NaN."""
    if table.width == 1 and isinstance(kind := table.to_series().dtype, pl.List | pl.Array) and _numbers(kind.inner):
        return _nested(table.to_series().cast(pl.List(pl.Float32)), ids, path)
    if other := [name for name, kind in table.schema.items() if not _numbers(kind)]:
        raise DataError(
            f"{path}: some columns are no numbers",
            count=len(other),
            example=other[0],
            fix="Name the vector's columns in `columns`: one of lists, or several of numbers.",
        )
    return table.cast(pl.Float32).to_numpy(order="c")


def _nested(column: pl.Series, ids: pl.Series, path: Path) -> Array:
    lengths = column.list.len().fill_null(0)
    dim = int(lengths.mode()[0]) if len(lengths) else 0
    if len(odd := ids.filter(lengths != dim)):
        raise DataError(f"{path}: some vectors have no {dim} dimensions like most", count=len(odd), example=odd[0])
    return column.explode(empty_as_null=False).to_numpy().reshape(len(column), dim)


def _numbers(kind: object) -> bool:
    return isinstance(kind, pl.DataType) and kind.is_numeric()


def _id_column(path: Path, names: list[str], asked: object) -> str:
    wanted = asked if isinstance(asked, str) else names[0] if len(names) == 1 else "id"
    if wanted not in names:
        raise _no_column(path, names, wanted)
    return wanted


def _no_column(path: Path, names: list[str], wanted: str) -> DataError:
    return DataError(f"{path}: there is no column {wanted!r}", fix=f"It has {', '.join(names)}; set `columns`.")


def _load(path: Path) -> Array:
    """An array, mapped; never unpickled."""
    array: object = _reading(path, lambda file: np.load(file, mmap_mode="r", allow_pickle=False))
    if not isinstance(array, np.ndarray):
        raise DataError(f"{path}: not a .npy array", fix="Save it with numpy.save.")
    return array


def _reading(path: Path, read: Callable[[Path], T]) -> T:
    """What `read` makes of the file, its failures told in one way."""
    if not path.is_file():
        raise DataError(f"{path}: there is no such file", fix="Check the path.")
    if not path.stat().st_size:
        raise DataError(f"{path}: the file is empty", fix="Write it again.")
    try:
        return read(path)
    except (OSError, ValueError, OverflowError, pl.exceptions.PolarsError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"{path}: cannot be read: {reason}", fix="Write it again.") from error


_TABLES: dict[str, Callable[[Path], pl.DataFrame]] = {
    ".csv": lambda path: pl.read_csv(path, infer_schema=False),
    ".tsv": lambda path: pl.read_csv(path, infer_schema=False, separator="\t"),
    ".parquet": pl.read_parquet,
}
