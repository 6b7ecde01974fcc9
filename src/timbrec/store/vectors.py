"""Vectors the user already has: arrays, `.npy` files with an id list, tables, or a store made by `timbrec embed`."""

from __future__ import annotations

import hashlib
from functools import cached_property
from pathlib import Path

import numpy as np

from timbrec.data.compression import check_file, compression, opened, plain_name
from timbrec.data.tables import KINDS, open_table, readable
from timbrec.data.text import TextForm
from timbrec.data.vocabulary import Vocabulary
from timbrec.errors import ConfigError, DataError
from timbrec.store import VectorSource, VectorStore
from timbrec.store.source import Ids, blocks, count_zeros, distinct_ids
from timbrec.store.vector_tables import LINES, Columns, id_column, read_matrix
from timbrec.types import Array


class Vectors(VectorSource):
    """An array (n, dim) of any real dtype and its n ids.

    `name` names their origin in messages; `facts` are remarks (what, how much) on how a file was read. Raises
    DataError for ids that are empty, repeated or neither strings nor whole numbers, for an array that has no row per
    id or no columns, and for values not finite in float32.
    """

    def __init__(self, ids: Ids, array: Array, name: str = "vectors", facts: tuple[tuple[str, str], ...] = ()) -> None:
        self.name, self.facts, self._array = name, facts, array
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


def read_vectors(
    path: Path | str, ids: Path | str | None = None, columns: Columns | None = None, form: TextForm | None = None
) -> VectorSource:
    """Vectors of a `.npy` array (mapped, not loaded), of a table, or of the folder of a VectorStore.

    A `.npy` needs `ids`, a file with one id per row: `.txt` (an id a line), any table, or `.npy` of whole numbers or
    strings. In tables `columns` names the `id` column (by default "id", "ID", "track_id", "item_id" or the only one)
    and the `vector`: one column of lists (of text such as "[0.1, 0.2]" too) or several of numbers, by name or by a
    pattern such as "f*". By default the vector is all columns but the id, which must be numbered alike (f0, f1, ...);
    an index that pandas or R has written is left out. `form` is how text is written. All files may be compressed.

    Raises DataError for files that do not hold this, ConfigError for `columns` that make no sense, and StoreError for
    a damaged store.
    """
    path, columns = Path(path).expanduser(), columns or {}
    if unknown := columns.keys() - {"id", "vector"}:
        raise ConfigError(f"{path}: `columns` has no key {min(unknown)!r}", fix="Its keys are id and vector.")
    if path.is_dir() and not _holds_tables(path):
        return VectorStore.open(path)
    if plain_name(path).endswith(".npy"):
        return _array_vectors(path, ids, columns, form)
    if ids is not None and path.exists():
        raise ConfigError(f"{path} has ids of its own", fix="Leave out `ids`; name its column under `columns`.")
    table = open_table(path, form)
    keys, array, facts, names = read_matrix(table, columns)
    vectors = Vectors(distinct_ids(keys, str(path)), array, str(path), (*table.facts, *facts))
    vectors.dimensions = names if len(names) == vectors.dim else ()
    return vectors


def _holds_tables(folder: Path) -> bool:
    return not any(folder.glob("manifest-*.json")) and any(
        Path(plain_name(path)).suffix in KINDS for path in folder.rglob("*") if path.is_file()
    )


def _array_vectors(vectors: Path, ids: Path | str | None, columns: Columns, form: TextForm | None) -> Vectors:
    """The rows of a `.npy` and the ids of the file beside it."""
    array = _array(vectors)
    if ids is None:
        raise DataError(f"{vectors}: a .npy has no ids in it", fix="Give `ids`, a file with one id per row.")
    path = Path(ids).expanduser()
    name = plain_name(path)
    if name.endswith(".npy"):
        names: Ids = _id_array(path)
    elif name.endswith(".txt") and form in (None, TextForm()):
        names = open_table(path, LINES).read(["0"]).to_series()
    else:
        table = open_table(path, form)
        names = table.read([id_column(table, columns)]).to_series()
    known = distinct_ids(names, str(path))
    if len(known) == len(array) + 1 and array.ndim:
        raise DataError(f"{vectors}: {len(array):,} vectors but {len(known):,} ids in {path}", example=known[0],
                        fix="Give one id per vector; if the first line is a header, remove it.")  # fmt: skip
    return Vectors(known, array, str(vectors))


def _id_array(path: Path) -> Array:
    array = _array(path)
    if array.ndim != 1 or array.dtype.kind not in "iuU":
        raise DataError(
            f"{path}: {array.dtype} with shape {array.shape} is no list of ids",
            fix="Give one dimension of whole numbers or strings.",
        )
    return array


def _array(path: Path) -> Array:
    """A `.npy` array, mapped unless it is compressed; never unpickled."""
    check_file(path)
    with readable(path):
        try:
            if not compression(path):
                return np.lib.format.open_memmap(path, mode="r")
            with opened(path) as file:
                return np.lib.format.read_array(file, allow_pickle=False)
        except DataError:
            raise
        except Exception as error:  # the header is parsed as Python: damage may raise anything
            raise ValueError(str(error)) from error
