"""Reading vectors from archives of named arrays: `.npz` of numpy, `.safetensors`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from timbrec.data.compression import check_file
from timbrec.data.faults import readable
from timbrec.errors import ConfigError, DataError, TimbrecError, in_words, listing
from timbrec.places import local
from timbrec.store.source import Ids
from timbrec.store.vector_tables import Columns
from timbrec.types import Array

SUFFIXES = (".npz", ".safetensors")
_IDS = "iuUSO"  # kinds of values; objects are refused when they are read


def is_archive(path: Path) -> bool:
    """Whether a file is an archive of arrays, by its suffix."""
    return path.suffix.lower() in SUFFIXES


def read_archive(path: Path, columns: Columns | None = None, with_ids: bool = True) -> tuple[Ids, Array]:
    """The ids and the vectors (n, dim) in an archive; no ids where `with_ids` is false.

    Either an array has a row per track and another one their ids, or every array is a vector and its name the id.
    `columns` names both arrays, `id` and `vector`, where several would do. Raises DataError for other archives and for
    damaged ones, ConfigError for a name that is not there.
    """
    columns = columns or {}
    with _opened(path) as entries:
        for name in columns.values():
            if not isinstance(name, str) or name not in entries:
                raise ConfigError(f"{path} has no array {in_words(name)}", fix=f"Known: {listing(list(entries))}.")
        if not columns and with_ids and _are_vectors(entries):
            return list(entries), np.stack([entry.load() for entry in entries.values()])
        vectors = _vectors(path, entries, columns)
        return _ids(path, entries, columns, vectors) if with_ids else [], vectors.load()


def ids_of_archive(path: Path) -> tuple[Ids | None, int]:
    """The ids in an archive, None where no array holds them, and the number of vectors; those are not read."""
    with _opened(path) as entries:
        if _are_vectors(entries):
            return list(entries), len(entries)
        vectors = _vectors(path, entries, {})
        try:
            return _ids(path, entries, {}, vectors), vectors.shape[0]
        except DataError:  # they may be in a file of their own
            return None, vectors.shape[0]


class _Entry(NamedTuple):
    """An array of an archive: its shape, the kind of its values as in numpy, and a function that reads it."""

    shape: tuple[int, ...]
    kind: str
    load: Callable[[], Array]


@contextmanager
def _opened(path: Path) -> Iterator[dict[str, _Entry]]:
    """The arrays of an archive by name. None is read before it is asked for, and nothing is unpickled."""
    check_file(path)
    path = local(path)
    with readable(path):
        try:
            with _of_numpy(path) if path.suffix.lower() == ".npz" else _of_safetensors(path) as entries:
                yield entries
        except (TimbrecError, OSError):
            raise
        except Exception as error:  # damage may raise anything
            raise ValueError(str(error)) from error


@contextmanager
def _of_numpy(path: Path) -> Iterator[dict[str, _Entry]]:
    def load(name: str) -> Array:
        try:
            array: Array = file[name]
        except ValueError as error:
            if "pickle" not in str(error):
                raise
            what = f"{path}: the array {name!r} holds objects of Python, which could run code"
            raise DataError(what, fix="Save ids as text: `np.array(ids, dtype=str)`.") from None
        return array

    with np.load(path, allow_pickle=False) as file:
        entries = {}
        for name in file.files:
            with file.zip.open(f"{name}.npy") as member:
                version = np.lib.format.read_magic(member)
                read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
                shape, _, dtype = read(member)
            entries[name] = _Entry(shape, dtype.kind, partial(load, name))
        yield entries


@contextmanager
def _of_safetensors(path: Path) -> Iterator[dict[str, _Entry]]:
    from safetensors import safe_open

    def load(name: str) -> Array:
        try:
            array: Array = file.get_tensor(name)
        except TypeError:  # numpy has no bfloat16
            raise DataError(
                f"{path}: numpy lacks the type of the tensor {name!r}", fix="Save it as float32 or float16."
            ) from None
        return array

    with safe_open(path, "np") as file:
        headers = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 - not a dict
        yield {
            name: _Entry(
                tuple(header.get_shape()), header.get_dtype().lower().removeprefix("b")[0], partial(load, name)
            )
            for name, header in headers.items()
        }


def _are_vectors(entries: Mapping[str, _Entry]) -> bool:
    """Whether every array is a vector of the same length."""
    shapes = {(entry.shape, entry.kind) for entry in entries.values()}
    return len(shapes) == 1 and all(len(shape) == 1 and kind == "f" for shape, kind in shapes)


def _vectors(path: Path, entries: Mapping[str, _Entry], columns: Columns) -> _Entry:
    return _chosen(path, entries, columns, "vector", lambda entry: len(entry.shape) == 2 and entry.kind in "fiu")


def _ids(path: Path, entries: Mapping[str, _Entry], columns: Columns, vectors: _Entry) -> Ids:
    ids = _chosen(
        path, entries, columns, "id", lambda entry: entry.shape == vectors.shape[:1] and entry.kind in _IDS
    ).load()
    return np.char.decode(ids, "utf-8") if ids.dtype.kind == "S" else ids


def _chosen(
    path: Path, entries: Mapping[str, _Entry], columns: Columns, role: str, fits: Callable[[_Entry], bool]
) -> _Entry:
    """The array that `columns` names for a role, or the only one that fits."""
    if role in columns:
        return entries[str(columns[role])]
    fitting = [name for name, entry in entries.items() if fits(entry)]
    if len(fitting) == 1:
        return entries[fitting[0]]
    what = {"vector": "vectors, a row per track", "id": "ids, one per vector"}[role]
    if fitting:
        raise DataError(f"{path}: {len(fitting)} arrays may be the {what}", example=listing(fitting, 3),
                        fix=f"Name it: `columns: {{{role}: {fitting[0]}}}`.")  # fmt: skip
    shapes = [f"{name} {entry.shape}" for name, entry in entries.items()]
    fix = (
        "Give `ids`, a file with one id per vector." if role == "id" else "Save an array (tracks, dim) and one of ids."
    )
    raise DataError(f"{path}: no array holds {what}", count=len(shapes), example=listing(shapes, 3) or None, fix=fix)
