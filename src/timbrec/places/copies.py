"""Local copies of remote files, opened on this machine and named by URL in messages."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path
from typing import Any, cast

from timbrec.places.cache import Cache, Pinned
from timbrec.places.faults import changed, reaching
from timbrec.places.locations import Remote

_BLOCK = 8 << 20
_KINDS = ("ETag", "etag", "version_id", "VersionId", "generation", "md5Hash", "checksum", "size", "mtime",
          "LastModified", "last_modified", "created")  # fmt: skip


class Copy(type(Path())):  # type: ignore[misc]  # the class of paths differs between systems
    """Path of a local copy: it opens the copy, and `str` is the URL, for messages. The copy stays while this lives."""

    version: int
    _url: str
    _pin: Pinned

    @classmethod
    def of(cls, pinned: Pinned, url: str, version: int = 0) -> Copy:
        """The path of a cached file with its URL and version (see `version_of`)."""
        path = cls(os.fspath(pinned.path))
        path._url, path._pin, path.version = url, pinned, version
        return path

    def __str__(self) -> str:
        return self._url if hasattr(self, "_url") else cast("str", super().__str__())

    def __fspath__(self) -> str:
        return cast("str", super().__str__())

    def __reduce__(self) -> Any:
        return Path, (os.fspath(self),)


def local(path: Path) -> Path:
    """The path itself if it is local, else the path of a copy in the cache (see `Copy`).

    A copy is kept under its URL and the version that the place states (ETag, generation), so that a changed file is
    copied again. Raises PlaceError for a file that changes meanwhile, FileNotFoundError for a missing one.
    """
    if not isinstance(path, Remote):
        return path
    with reaching(path):
        fs, key = path.fs, path.key
        before = fs.info(key)
        if before["type"] != "file":
            raise IsADirectoryError(f"{path} is a folder")
        version = _version(before)

        def fill(target: Path) -> None:
            source = fs.open(key, "rb", block_size=_BLOCK, cache_type="readahead")  # s3fs reads this version only
            with source, target.open("wb") as copy:
                shutil.copyfileobj(source, copy, _BLOCK)
            if target.stat().st_size != before["size"] or _version(fs.info(key)) != version:
                raise changed(path)

        name = hashlib.sha256(f"{path} {version}".encode()).hexdigest()[:40]
        pinned = Cache().get(name, path.name, int(before["size"]), fill)
        return Copy.of(pinned, str(path), _number(version))


def version_of(path: Remote) -> tuple[int, int]:
    """The size of a remote file, and a number of 63 bits that changes with the version that the place states."""
    with reaching(path):
        facts = path.fs.info(path.key)
        return int(facts["size"] or 0), _number(_version(facts))


def _number(version: str) -> int:
    return int.from_bytes(hashlib.sha256(version.encode()).digest()[:8], "big") >> 1


def _version(facts: dict[str, Any]) -> str:
    """The version of a remote file, if its place states one."""
    return repr([str(facts[kind]) for kind in _KINDS if facts.get(kind) is not None])
