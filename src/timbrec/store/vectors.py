"""Reading existing vectors: arrays, files of arrays with ids, tables, or stores of `timbrec embed`."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from timbrec.data.compression import check_file, compression, opened, plain_name
from timbrec.data.faults import readable
from timbrec.data.frames import frame_of, is_frame
from timbrec.data.table_kinds import Table
from timbrec.data.tables import KINDS, open_table
from timbrec.data.text import TextForm
from timbrec.data.vocabulary import Vocabulary
from timbrec.errors import ConfigError, DataError
from timbrec.places import local, location
from timbrec.store import VectorSource, VectorStore
from timbrec.store.archives import is_archive, read_archive
from timbrec.store.manifest import holds_store
from timbrec.store.source import Ids, blocks, count_zeros, distinct_ids
from timbrec.store.vector_tables import LINES, Columns, id_column, read_matrix
from timbrec.types import Array


class Vectors(VectorSource):
    """Source of an array (n, dim) of any real dtype with n ids.

    `name` is the origin in messages; `facts` are remarks (label, detail) on how a file was read. Raises DataError for
    ids that are empty, repeated, or neither strings nor whole numbers; for another number of rows than ids; for an
    array without columns; and for values not finite in float32.
    """

    def __init__(self, ids: Ids, array: Array, name: str = "vectors", facts: tuple[tuple[str, str], ...] = ()) -> None:
        self.name, self.facts, self._array = name, facts, array
        self._known = Vocabulary(distinct_ids(ids, name))
        self._zeros = count_zeros(array, self._known.ids, "float32", name)

    @property
    def dim(self) -> int:
        """Number of dimensions."""
        return int(self._array.shape[1])

    @property
    def zeros(self) -> int:
        """Number of zero vectors."""
        return self._zeros

    @cached_property
    def digest(self) -> str:
        """Hash of the ids, their order and the float32 values, equal for all kinds of files; reads everything once."""
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
    """Read the vectors of a `.npy` array (memory-mapped), an archive of arrays, a table, or a VectorStore's folder.

    A `.npy` needs `ids`, a file with one id per row: `.txt` (one id per line), any table, or `.npy` of whole numbers or
    strings. An archive, `.npz` or `.safetensors`, may have them inside (`read_archive`). For tables, `columns` names
    the `id` column (by default "id", "ID", "track_id", "item_id" or the only one) and the `vector`: one column of lists
    (or their text, "[0.1, 0.2]"), or several columns of numbers, by name or by a pattern such as "f*". By default the
    vector is all columns except the id; they must be numbered alike (f0, f1, ...), and an index written by pandas or R
    is left out. `form` describes the text format. All files but archives may be compressed.

    Raises DataError for unsuitable files, ConfigError for contradictory `columns`, and StoreError for a damaged store.
    """
    path, columns = location(path).expanduser(), columns or {}
    if unknown := columns.keys() - {"id", "vector"}:
        raise ConfigError(f"{path}: `columns` has no key {min(unknown)!r}", fix="Its keys are id and vector.")
    if path.is_dir() and not _holds_tables(path):
        return VectorStore.open(path)
    if plain_name(path).endswith(".npy"):
        return _array_vectors(path, ids, columns, form)
    if is_archive(path):
        if ids is None:
            return Vectors(*read_archive(path, columns), str(path))
        named = {"vector": columns["vector"]} if "vector" in columns else {}
        return _with_ids(path, read_archive(path, named, with_ids=False)[1], ids, columns, form)
    table = open_table(path, form)
    if ids is not None:
        raise ConfigError(f"{path} has ids of its own", fix="Leave out `ids`; name its column under `columns`.")
    return _table_vectors(table, columns, str(path))


def vectors_of(value: Any, name: str = "vectors") -> VectorSource:
    """The vectors of a source, a file, a frame with a column of ids, a pair (ids, array), or a mapping by id.

    Raises DataError for anything else, and the errors of `read_vectors` and `Vectors`.
    """
    if isinstance(value, VectorSource):
        return value
    if isinstance(value, Path | str):
        return read_vectors(value)
    if is_frame(value):
        return _table_vectors(open_table(frame_of(value, name)), {}, name)
    ids, array = pair_of(value, name)
    return Vectors(ids, np.asarray(array), name)


def is_by_id(value: Any) -> bool:
    """Whether a value is a mapping of ids to vectors."""
    return (
        isinstance(value, Mapping) and bool(value) and isinstance(next(iter(value.values())), np.ndarray | list | tuple)
    )


def pair_of(value: Any, name: str) -> tuple[Ids, Array]:
    """Ids and their array (n, dim), from such a pair or a mapping of ids to vectors. Raises DataError for others."""
    if is_by_id(value):
        lengths = {len(vector) for vector in value.values()}
        if len(lengths) > 1:
            raise DataError(f"{name}: vectors have different numbers of dimensions", example=sorted(lengths)[:2],
                            fix="Give vectors of one encoder.")  # fmt: skip
        return list(value), np.stack([np.asarray(vector) for vector in value.values()])
    if isinstance(value, tuple | list) and len(value) == 2:
        return value[0], value[1]
    raise DataError(f"{name}: a {type(value).__name__} is no vectors", fix=(
        "Give (ids, array), a mapping of ids to vectors, a frame with a column of ids, or a file."))  # fmt: skip


def _table_vectors(table: Table, columns: Columns, name: str) -> Vectors:
    """The vectors of an open table."""
    keys, array, facts, names = read_matrix(table, columns)
    vectors = Vectors(distinct_ids(keys, name), array, name, (*table.facts, *facts))
    vectors.dimensions = names if len(names) == vectors.dim else ()
    return vectors


def _holds_tables(folder: Path) -> bool:
    return not holds_store(folder) and any(
        Path(plain_name(path)).suffix in KINDS for path in folder.rglob("*") if path.is_file()
    )


def _array_vectors(vectors: Path, ids: Path | str | None, columns: Columns, form: TextForm | None) -> Vectors:
    """The rows of a `.npy` with the ids of a second file."""
    array = _array(vectors)
    if ids is None:
        raise DataError(f"{vectors}: a .npy has no ids in it", fix="Give `ids`, a file with one id per row.")
    return _with_ids(vectors, array, ids, columns, form)


def _with_ids(vectors: Path, array: Array, ids: Path | str, columns: Columns, form: TextForm | None) -> Vectors:
    """The rows of an array with the ids of a second file."""
    path = location(ids).expanduser()
    known = distinct_ids(read_ids(path, columns, form), str(path))
    if len(known) == len(array) + 1 and array.ndim:
        raise DataError(f"{vectors}: {len(array):,} vectors but {len(known):,} ids in {path}", example=known[0],
                        fix="Give one id per vector; if the first line is a header, remove it.")  # fmt: skip
    return Vectors(known, array, str(vectors))


def read_ids(path: Path, columns: Columns | None = None, form: TextForm | None = None) -> Ids:
    """The ids in a file, one per row: a `.txt` with one id per line, any table, or a `.npy` (see `read_vectors`)."""
    name = plain_name(path)
    if name.endswith(".npy"):
        return _id_array(path)
    if name.endswith(".txt") and form in (None, TextForm()):
        lines = open_table(path, LINES).read(["0"]).to_series()
        given = lines.is_not_null().arg_true()
        return lines.head(int(given[-1]) + 1 if len(given) else 0)  # without empty lines at the end
    table = open_table(path, form)
    return table.read([id_column(table, columns or {})]).to_series()


def _id_array(path: Path) -> Array:
    array = _array(path)
    if array.ndim != 1 or array.dtype.kind not in "iuU":
        raise DataError(
            f"{path}: {array.dtype} with shape {array.shape} is no list of ids",
            fix="Give one dimension of whole numbers or strings.",
        )
    return array


def _array(path: Path) -> Array:
    """Open a `.npy` array, mapped unless it is compressed, and never unpickled."""
    check_file(path)
    path = local(path)
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
