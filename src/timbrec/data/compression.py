"""Reader of compressed files: gzip, bzip2, xz, Zstandard, and zip archives with a single file."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from zlib import error as ZlibError  # noqa: N812 - it is a class

from timbrec.errors import DataError, did_you_mean, listing

_MAGIC = {
    b"\x1f\x8b": ".gz",
    b"BZh": ".bz2",
    b"\xfd7zXZ\x00": ".xz",
    b"\x28\xb5\x2f\xfd": ".zst",
    b"PK\x03\x04": ".zip",
}
SUFFIXES = (".gz", ".bz2", ".xz", ".zst", ".zip")


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """Open a file for reading bytes, decompressed according to its suffix or, without a known suffix, its first bytes.

    Raises DataError for a file that does not exist, is empty, cannot be opened, or is cut short or damaged, also for
    errors of decompression inside the block.
    """
    check_file(path)
    kind = compression(path)
    try:
        with _OPENERS[kind](path) as file:
            yield file
    except (EOFError, OSError, ZlibError, lzma.LZMAError, zipfile.BadZipFile) as error:
        if isinstance(error, PermissionError):
            raise DataError(f"{path} cannot be opened", fix="Check its permissions.") from error
        if kind and not _magic(path):
            raise DataError(f"{path} is not compressed, unlike its name", fix=f"Drop {kind} from its name.") from error
        raise DataError(f"{path} is cut short or damaged ({error})", fix="Get or write it again.") from error


def check_file(path: Path) -> None:
    """Raise DataError unless `path` is a file that is not empty."""
    if not path.is_file():
        raise DataError(f"{path} does not exist", fix=_nearest(path))
    if not path.stat().st_size:
        raise DataError(f"{path} is empty", fix="Write it again.")


def compression(path: Path) -> str:
    """The suffix that stands for the file's compression, "" for none."""
    if path.suffix.lower() in SUFFIXES:
        return path.suffix.lower()
    return _magic(path)


def _magic(path: Path) -> str:
    """The suffix that stands for the compression that the first bytes show, "" for none."""
    with path.open("rb") as file:
        start = file.read(8)
    return next((kind for magic, kind in _MAGIC.items() if start.startswith(magic)), "")


def plain_name(path: Path) -> str:
    """The file's name without the suffix of compression; for a zip archive, the name of its file."""
    if path.suffix.lower() == ".zip" and path.is_file():
        with opened(path) as member:
            return Path(member.name).name
    return path.name.removesuffix(path.suffix) if path.suffix.lower() in SUFFIXES else path.name


def _zstandard(path: Path) -> Any:
    import pyarrow as pa

    return pa.input_stream(os.fspath(path), compression="zstd")


@contextmanager
def _only_member(path: Path) -> Iterator[Any]:
    """The one file of a zip archive; folders and macOS's `__MACOSX` entries do not count."""
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if not name.endswith("/") and not name.startswith("__MACOSX")]
        if "[Content_Types].xml" in names:
            raise DataError(f"{path} is an Office document, not a table", fix="Save it as CSV (UTF-8).")
        if len(names) != 1:
            raise DataError(
                f"{path} holds {len(names)} files, not one",
                fix=f"Unpack it and name the table: {listing(names)}." if names else "Put the table into it.",
            )
        if archive.getinfo(names[0]).flag_bits & 1:
            raise DataError(f"{path} is encrypted", fix="Unpack it.")
        with archive.open(names[0]) as file:
            yield file


def _nearest(path: Path) -> str:
    """A hint for a path that does not exist."""
    if path.is_dir():
        return "It is a folder: name a file in it."
    folder = path.parent
    while not folder.is_dir():
        folder = folder.parent
    if folder != path.parent:
        return f"There is no folder {path.parent}."
    return did_you_mean(path.name, [other.name for other in folder.iterdir()]).strip() or "Check the path."


_OPENERS: dict[str, Callable[[Path], Any]] = {
    "": lambda path: path.open("rb"),
    ".gz": gzip.open,
    ".bz2": bz2.open,
    ".xz": lzma.open,
    ".zst": _zstandard,
    ".zip": _only_member,
}
