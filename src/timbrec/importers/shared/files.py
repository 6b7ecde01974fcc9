"""Files of an export: on disk, compressed, or inside a zip or tar archive."""

from __future__ import annotations

import io
import json
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, Any

from timbrec.data.compression import check_file, compression, opened
from timbrec.data.lines import whole_lines
from timbrec.errors import DataError

_UTF16 = (b"\xff\xfe", b"\xfe\xff")  # byte order marks
_HEAD = 1 << 16  # bytes that decide which importer reads a file
_NOTHING = (b"", b"[]", b"{}", b"null")
_BLOCK = 32 << 20  # bytes of lines parsed at once
_DAMAGED = (OSError, EOFError, zipfile.BadZipFile, tarfile.TarError, NotImplementedError)
_KINDS = (  # first bytes, kind of file
    (b"%PDF", "a PDF file"),
    (b"PK\x03\x04", "a zip archive"),
    (b"SQLite format 3\x00", "an SQLite database"),
    (b"PAR1", "a Parquet file"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"\x89PNG", "a PNG image"),
    (b"ID3", "an MP3 file"),
    (b"fLaC", "a FLAC file"),
    (b"OggS", "an Ogg file"),
    (b"RIFF", "a WAV file"),
    (b"\xd0\xcf\x11\xe0", "an old Office document"),
)


@dataclass(frozen=True, eq=False)
class HistoryFile:
    """A file of an export. `name` is its path, in an archive "archive.zip/member"; `path` a plain file on disk.

    Contents are bytes of UTF-8 without a byte order mark, also where the file is UTF-16.
    """

    name: str
    open: Callable[[], AbstractContextManager[IO[bytes]]]
    path: Path | None = None

    @property
    def base(self) -> str:
        """The last part of the name, in lower case."""
        return self.name.rpartition("/")[2].lower()

    @cached_property
    def head(self) -> bytes:
        """The first 64 KiB."""
        with self.open() as file:
            return _utf8(file.read(_HEAD))

    @cached_property
    def is_utf16(self) -> bool:
        """Whether the file is text in UTF-16, as Windows programs write it."""
        with self.open() as file:
            return file.read(2) in _UTF16

    @cached_property
    def record(self) -> dict[str, Any]:
        """The first object of a JSON list, or of a file of JSON lines; empty for other files."""
        text = self.head.decode("utf-8", "replace").lstrip().removeprefix("[").lstrip()
        try:
            first, _ = json.JSONDecoder().raw_decode(text)
        except ValueError:
            return {}
        return first if isinstance(first, dict) else {}

    @cached_property
    def is_blank(self) -> bool:
        """Whether the file holds blanks alone, or JSON without an entry."""
        return len(self.head) < _HEAD and self.head.translate(None, b" \t\r\n") in _NOTHING

    @cached_property
    def first_line(self) -> str:
        """The first line as text; empty for files with zero bytes."""
        line = self.head.lstrip().splitlines()[:1]
        return "" if not line or b"\0" in line[0] else line[0].decode("utf-8", "replace").strip()

    @property
    def kind(self) -> str:
        """The kind of file by its first bytes, such as "a PDF file", or its first line of text."""
        if self.is_blank:
            return "JSON without an entry" if self.head.strip() else "an empty file"
        for start, kind in _KINDS:
            if self.head.startswith(start):
                return kind
        if self.record:
            return f"JSON with the keys {', '.join(sorted(self.record)[:8])}"
        if self.head.lstrip()[:5].lower() in (b"<html", b"<!doc"):
            return "an HTML page"
        if not self.first_line:
            return "a binary file"
        only = len(self.head) < _HEAD and len(self.head.strip().splitlines()) == 1
        return f"text that starts with {self.first_line[:60]!r}{', and has no other line' if only else ''}"

    def content(self) -> bytes:
        """The whole content."""
        with self.open() as file:
            return _utf8(file.read())

    def blocks(self) -> Iterator[bytes]:
        """The content in blocks of whole lines."""
        if self.is_utf16:
            yield self.content()
            return
        with self.open() as file:
            yield from whole_lines(file, _BLOCK, Path(self.name))

    @contextmanager
    def on_disk(self) -> Iterator[Path]:
        """A path with the content: the file itself, or a temporary copy if it is compressed, archived or UTF-16."""
        if self.path is not None and not self.is_utf16:
            yield self.path
            return
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder, Path(self.name).name)
            copy.write_bytes(self.content())
            yield copy


def history_files(path: Path) -> list[HistoryFile]:
    """The files at a path: one file, the members of an archive, or the files below a folder, sorted by name.

    Hidden files and macOS's `__MACOSX` entries are left out, and archives in archives are opened. Raises DataError for
    a path that does not exist, an empty file, and an archive that is damaged or encrypted.
    """
    path = path.expanduser()
    if path.is_dir():
        files = [file for file in sorted(path.rglob("*")) if file.is_file() and _visible(file.relative_to(path).parts)]
        if not files:
            raise DataError(f"{path} is a folder without files", fix="Name the export.")
        return [member for file in files if file.stat().st_size for member in _opened(file)]
    check_file(path)
    return _opened(path)


def json_lines(name: str, records: Iterable[object]) -> HistoryFile:
    """A file in memory with a line of JSON per record."""
    content = b"".join(json.dumps(record).encode() + b"\n" for record in records)
    return HistoryFile(name, lambda: nullcontext(io.BytesIO(content)))


def _opened(path: Path) -> list[HistoryFile]:
    if path.suffix.lower() == ".xlsx":  # a zip archive too, but read as a whole
        return [HistoryFile(str(path), lambda: path.open("rb"), path)]
    if zipfile.is_zipfile(path):
        return list(_zip_members(str(path), lambda: zipfile.ZipFile(path)))
    if compression(path) == ".zip":
        raise _damaged(str(path), "its list of files is missing")
    if ".tar" in path.suffixes or path.suffix in (".tgz", ".tar"):
        return list(_tar_members(path))
    plain = not compression(path)
    return [HistoryFile(str(path), lambda: opened(path), path if plain else None)]


def _zip_members(name: str, archive: Callable[[], zipfile.ZipFile]) -> Iterator[HistoryFile]:
    with _readable(name), archive() as listed:
        infos = sorted((info for info in listed.infolist() if not info.is_dir()), key=lambda info: info.filename)
    if any(info.flag_bits & 1 for info in infos):
        raise DataError(f"{name} is encrypted", fix="Unpack it, and name the folder.")
    for info in infos:
        if not _visible(Path(info.filename).parts) or not info.file_size:
            continue
        member = HistoryFile(f"{name}/{info.filename}", _member(f"{name}/{info.filename}", archive, info))
        if info.filename.lower().endswith(".zip"):
            yield from _zip_members(member.name, _inner(member))
        else:
            yield member


def _member(
    name: str, archive: Callable[[], zipfile.ZipFile], info: zipfile.ZipInfo
) -> Callable[[], AbstractContextManager[IO[bytes]]]:
    @contextmanager
    def open_member() -> Iterator[IO[bytes]]:
        with _readable(name), archive() as container, container.open(info) as file:
            yield file

    return open_member


def _inner(member: HistoryFile) -> Callable[[], zipfile.ZipFile]:
    return lambda: zipfile.ZipFile(io.BytesIO(member.content()))


def _tar_members(path: Path) -> Iterator[HistoryFile]:
    with _readable(str(path)), _tar(path) as archive:
        names = sorted(info.name for info in archive if info.isfile() and info.size and _visible(Path(info.name).parts))
    for name in names:
        yield HistoryFile(f"{path}/{name}", _tar_member(path, name))


def _tar_member(path: Path, name: str) -> Callable[[], AbstractContextManager[IO[bytes]]]:
    @contextmanager
    def open_member() -> Iterator[IO[bytes]]:
        with _readable(f"{path}/{name}"), _tar(path) as archive:
            for info in archive:
                if info.name == name and (file := archive.extractfile(info)) is not None:
                    yield file
                    return
            raise DataError(f"{path} has lost its file {name}", fix="Get the export again.")

    return open_member


@contextmanager
def _tar(path: Path) -> Iterator[tarfile.TarFile]:
    with ExitStack() as stack:
        if path.suffix.lower() == ".zst":
            yield stack.enter_context(tarfile.open(fileobj=stack.enter_context(opened(path)), mode="r|"))
        else:
            yield stack.enter_context(tarfile.open(path))


@contextmanager
def _readable(name: str) -> Iterator[None]:
    """Turn errors of reading an archive inside the block into a DataError with its name."""
    try:
        yield
    except _DAMAGED as error:
        raise _damaged(name, str(error)) from error


def _damaged(name: str, reason: str) -> DataError:
    return DataError(f"{name} is cut short or damaged ({reason})", fix="Download the export again.")


def _utf8(content: bytes) -> bytes:
    """The content as UTF-8 without a byte order mark; UTF-16 that cannot be decoded is replaced."""
    if content[:2] in _UTF16:
        return content.decode("utf-16", "replace").removeprefix("\ufeff").encode()
    return content.removeprefix(b"\xef\xbb\xbf")


def _visible(parts: Sequence[str]) -> bool:
    return not any(part.startswith(".") or part == "__MACOSX" for part in parts)
