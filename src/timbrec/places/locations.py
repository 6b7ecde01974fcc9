"""Paths of local files and URLs of remote ones, in one type."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from glob import escape
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any, NoReturn

from pydantic import PlainSerializer, PlainValidator, WithJsonSchema

from timbrec.errors import ConfigError, PlaceError
from timbrec.places.faults import reaching
from timbrec.places.patience import patience

_URL = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]+):(/+)(.*)", re.DOTALL)  # a drive such as C: has one letter
_BUCKETS = ("s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl")


class Remote(type(Path())):  # type: ignore[misc]  # the class of paths differs between systems
    """Path of a remote file or folder: `str` is the URL, and files are read through fsspec.

    Names, parents and suffixes are those of any path. Calls that need a local file raise TypeError; see `local`.
    Listings are never cached. Errors of the place are PlaceErrors (see `reaching`).
    """

    def __str__(self) -> str:
        return super().__str__().replace(os.sep, "/").replace(":/", "://", 1)

    def __fspath__(self) -> NoReturn:
        raise TypeError(f"{self} is not on this machine")

    def __reduce__(self) -> Any:
        return Remote, (str(self),)

    @property
    def fs(self) -> Any:
        """The file system of fsspec. Raises PlaceError for a URL that no installed library reads."""
        return self._opened()[0]

    @property
    def key(self) -> str:
        """The path as the file system calls it."""
        return str(self._opened()[1])

    def _opened(self) -> tuple[Any, str]:
        from fsspec.core import url_to_fs

        with reaching(str(self)):
            protocol = self.parts[0].rstrip(":")
            options = {"use_listings_cache": False} if protocol in _BUCKETS else {}
            fs, key = url_to_fs(str(self), **options | patience(protocol))
            return fs, key.rstrip("/")

    def is_absolute(self) -> bool:
        """True: a URL is relative to nothing."""
        return True

    def absolute(self) -> Remote:
        """The path itself."""
        return self

    def resolve(self, strict: bool = False) -> Remote:
        """The path itself."""
        return self

    def expanduser(self) -> Remote:
        """The path itself."""
        return self

    def exists(self, **_: Any) -> bool:
        """Whether there is a file or folder."""
        return self._kind() is not None

    def is_file(self, **_: Any) -> bool:
        """Whether there is a file."""
        return self._kind() == "file"

    def is_dir(self, **_: Any) -> bool:
        """Whether there are files below the path."""
        return self._kind() == "directory"

    def is_symlink(self) -> bool:
        """False: there are no links."""
        return False

    def stat(self, **_: Any) -> Any:
        """An object with `st_size`, and without times, because remote clocks differ. Raises FileNotFoundError."""
        with reaching(str(self)):
            return SimpleNamespace(st_size=int(self.fs.info(self.key)["size"] or 0))

    def open(self, mode: str = "r", *_: Any, encoding: str | None = None, **__: Any) -> Any:
        """The open file."""
        with reaching(str(self)):
            return self.fs.open(self.key, mode, **({} if "b" in mode else {"encoding": encoding or "utf-8"}))

    def read_bytes(self) -> bytes:
        """The content of the file."""
        with reaching(str(self)):
            return bytes(self.fs.cat_file(self.key))

    def read_text(self, encoding: str | None = None, *_: Any) -> str:
        """The content of a text file."""
        return self.read_bytes().decode(encoding or "utf-8")

    def iterdir(self) -> Iterator[Remote]:
        """The files and folders in the folder."""
        yield from self.glob("*")

    def glob(self, pattern: str, **_: Any) -> Iterator[Remote]:
        """The files and folders below the folder that match a pattern, sorted."""
        with reaching(str(self)):
            root = self.key
            for name in sorted(self.fs.glob(f"{escape(root)}/{pattern}")):
                yield self / str(name).rstrip("/").removeprefix(root).lstrip("/")

    def files(self) -> Iterator[Remote]:
        """All files below the folder, from one listing, sorted."""
        with reaching(str(self)):
            root = self.key
            for name in sorted(self.fs.find(root)):
                yield self / str(name).removeprefix(root).lstrip("/")

    def rglob(self, pattern: str, **_: Any) -> Iterator[Remote]:
        """The files and folders at any depth that match a pattern, sorted."""
        yield from self.glob(f"**/{pattern}")

    def _kind(self) -> str | None:
        with reaching(str(self)):
            try:
                return str(self.fs.info(self.key)["type"])
            except (FileNotFoundError, NotADirectoryError):
                return None


def location(path: Path | str) -> Path:
    """The path of a local file, or a `Remote` for a URL such as `s3://bucket/log.parquet`.

    `Path("s3://bucket/log.parquet")`, which drops a slash, counts as the URL; `file:///log.parquet` counts as a local
    path. The case of the protocol does not matter. Raises PlaceError for a URL without a bucket or host.
    """
    url = None if isinstance(path, Remote) else _URL.fullmatch(os.fspath(path))
    protocol = "" if url is None else url[1].lower()
    if url is None or (len(url[2]) == 1 and not _is_protocol(protocol)):
        return Path(path) if isinstance(path, str) else path
    if protocol in ("file", "local"):
        return Path(f"/{url[3]}")
    if not url[3]:
        raise PlaceError(f"{protocol}:// names no place", fix=f"Write {protocol}://BUCKET/FOLDER.")
    return Remote(f"{protocol}://{url[3]}")


def here(path: Path | str, what: str) -> Path:
    """The path of `what` (for messages), which must be on this machine. Raises ConfigError for a URL."""
    place = location(path)
    if isinstance(place, Remote):
        raise ConfigError(f"{what} is read and written on this machine only", example=str(place),
                          fix="Name a path of this machine, and copy from or to the remote place.")  # fmt: skip
    return place


def is_remote(path: Path) -> bool:
    """Whether the path is a URL, which local tools cannot open."""
    return isinstance(path, Remote)


def matches(pattern: Path) -> list[Path]:
    """The files and folders that match a pattern with `*`, `?` or `**`, sorted."""
    anchor = Remote(*pattern.parts[:2]) if isinstance(pattern, Remote) else Path(pattern.anchor)
    return sorted(anchor.glob(str(pattern.relative_to(anchor)))) if pattern.parts else []


def _is_protocol(name: str) -> bool:
    from fsspec import available_protocols

    return name in available_protocols()


def _validated(value: Any) -> Path:
    if not isinstance(value, str | os.PathLike):
        raise ValueError("Input should be a path")
    return location(value if isinstance(value, str | Path) else os.fspath(value))


AnyPath = Annotated[
    Path,
    PlainValidator(_validated),
    PlainSerializer(str, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "format": "path"}),
]
