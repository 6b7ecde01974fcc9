"""Reads TensorFlow checkpoints ("V2 bundles") without TensorFlow.

A bundle is two files: `.index`, a sorted table of entries, and `.data-00000-of-00001`, the tensors' bytes one after the
other. The table is LevelDB's: blocks of prefix-compressed keys, found through a footer of 48 bytes
(github.com/google/leveldb, doc/table_format.md); its values are BundleEntryProto messages (github.com/tensorflow/
tensorflow, core/protobuf/tensor_bundle.proto).
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from timbrec.encoders.weights.reading import damaged, weights_file
from timbrec.types import Array, Float32

MAGIC = bytes.fromhex("57fb808b247547db")
FLOAT32 = 1  # DataType.DT_FLOAT
DTYPE, SHAPE, OFFSET = 1, 2, 4  # fields of BundleEntryProto


def read_tf_checkpoint(index: Path) -> dict[str, Float32[Array, "..."]]:
    """The float32 variables of the bundle with this `.index` file, by name, in TensorFlow's layouts.

    Raises ConfigError for a file that is missing, cut short, damaged or of another kind.
    """
    table = weights_file(index).read_bytes()
    data = weights_file(data_file(index)).read_bytes()
    try:
        entries = {key.decode(): _message(value) for key, value in _table(table) if key}  # no key: the bundle's header
        floats = {key: entry for key, entry in entries.items() if entry[DTYPE] == [FLOAT32]}
        return {key: _variable(entry, data) for key, entry in floats.items()}
    except (LookupError, ValueError, TypeError) as error:
        raise damaged(index.parent) from error


def data_file(index: Path) -> Path:
    """The file with the tensors' bytes that belongs to an `.index` file."""
    return index.with_name(index.name.removesuffix(".index") + ".data-00000-of-00001")


def _variable(entry: dict[int, list[Any]], data: bytes) -> Float32[Array, "..."]:
    sizes = _message(entry[SHAPE][0]).get(2, [])
    shape = [_message(size)[1][0] for size in sizes]
    return np.frombuffer(data, "<f4", prod(shape), entry.get(OFFSET, [0])[0]).reshape(shape)


def _table(table: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The table's keys and values, sorted by key."""
    if table[-8:] != MAGIC:
        raise ValueError("not a LevelDB table")
    footer = _Cursor(table[-48:])
    _, _, start, size = (footer.varint() for _ in range(4))  # the first two locate the index of filters
    for _, handle in _block(table, start, size):
        place = _Cursor(handle)
        yield from _block(table, place.varint(), place.varint())


def _block(table: bytes, start: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    """A block's keys and values. A key is stored without the prefix it shares with the previous key."""
    if table[start + size] != 0:
        raise ValueError("a compressed block")  # checkpoints have none
    restarts = int.from_bytes(table[start + size - 4 : start + size], "little")
    cursor, key = _Cursor(table[start : start + size - 4 * (restarts + 1)]), b""
    while cursor.left:
        shared, unshared, length = cursor.varint(), cursor.varint(), cursor.varint()
        key = key[:shared] + cursor.take(unshared)
        yield key, cursor.take(length)


def _message(data: bytes) -> dict[int, list[Any]]:
    """A protobuf message's fields by number: integers and bytes."""
    cursor, fields = _Cursor(data), dict[int, list[Any]]()
    while cursor.left:
        field, wire = divmod(cursor.varint(), 8)
        length = {1: 8, 5: 4}.get(wire)  # fixed widths; 0 is a varint, 2 is preceded by its length
        value = cursor.varint() if wire == 0 else cursor.take(cursor.varint() if length is None else length)
        fields.setdefault(field, []).append(value)
    return fields


class _Cursor:
    """A position in bytes that advances with each read; IndexError beyond the end."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    @property
    def left(self) -> int:
        return len(self._data) - self._at

    def take(self, length: int) -> bytes:
        if length > self.left:
            raise IndexError
        self._at += length
        return self._data[self._at - length : self._at]

    def varint(self) -> int:
        """A little-endian number of 7 bits per byte; the top bit marks that another byte follows."""
        value = shift = 0
        while (byte := self.take(1)[0]) > 127:
            value |= (byte & 127) << shift
            shift += 7
        return value | byte << shift
