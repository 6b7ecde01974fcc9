"""Tables and files that were read a moment ago are not read again, unless they changed."""

from __future__ import annotations

import os
from pathlib import Path

import polars as pl
import pytest

from timbrec.files import write_atomically
from timbrec.study.recent import Recent, Unchanged


def test_a_file_is_read_again_only_after_a_change(tmp_path: Path) -> None:
    path, other, reads = tmp_path / "a", tmp_path / "b", []

    def read(file: Path) -> str:
        reads.append(file.name)
        return file.read_text()

    files = Unchanged()
    path.write_text("one")
    other.write_text("two")
    assert [files.get(file, read) for file in (path, path, other, path)] == ["one", "one", "two", "one"]
    assert reads == ["a", "b"]
    before = path.stat()
    write_atomically(path, "ten")  # of the same size
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))  # and of the same time: the inode tells
    assert files.get(path, read) == "ten"
    path.unlink()
    with pytest.raises(FileNotFoundError):
        files.get(path, read)


def test_two_readers_of_a_file_do_not_mix(tmp_path: Path) -> None:
    path, files = tmp_path / "a", Unchanged()
    path.write_text("12")
    assert files.get(path, Path.read_text) == "12"
    assert files.get(path, Path.read_bytes) == b"12"


def test_the_oldest_tables_leave_first() -> None:
    tables = {name: pl.DataFrame({"x": range(1000)}) for name in "abc"}
    reads: list[str] = []

    def get(recent: Recent, name: str) -> pl.DataFrame:
        def read() -> pl.DataFrame:
            reads.append(name)
            return tables[name]

        return recent.get(name, read)

    recent = Recent(limit=2 * int(tables["a"].estimated_size()))
    for name in "abcba":
        assert get(recent, name) is tables[name]
    assert reads == ["a", "b", "c", "a"]
