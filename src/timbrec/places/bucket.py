"""A folder in a bucket or another remote place that fsspec reaches, without renames, links, locks and memory maps."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar
from uuid import uuid4

from timbrec.errors import PlaceError
from timbrec.places.cache import Cache, user_cache
from timbrec.places.copies import Copy
from timbrec.places.faults import is_passing, reaching
from timbrec.places.locations import Remote
from timbrec.places.place import Added, Chunks, Place, Rows
from timbrec.places.ranges import RemoteRows

T = TypeVar("T")
_BLOCK = 8 << 20
_AT_ONCE = 16  # files that are read at once
_PAUSES = (0.2, 1.0, 4.0)  # seconds before another try
_creating = threading.RLock()  # fsspec's memory:// checks a name and takes it in two steps


class Bucket(Place):
    """A remote folder.

    `create` is a conditional put: the place lets one of two writers take a name. If the answer to a put is lost, the
    put is repeated; a name whose file has exactly the content of this call counts as created by it. Contents of
    different writers must therefore differ, so each writer includes its `token`.
    """

    def __init__(self, path: Remote) -> None:
        self.path, self.token = path, uuid4().hex
        self._fs, self._root = path.fs, path.key

    def prepare(self) -> None:
        """Do nothing: a bucket has no folders to make."""

    def names(self, start: str) -> list[str]:
        """The names of files directly in the folder that begin with `start`, as the place lists them now."""
        with reaching(self.path, "list"):
            try:
                paths = self._fs.ls(self._root, detail=False)
            except (FileNotFoundError, NotADirectoryError):
                return []
        return [name for path in paths if (name := path.rpartition("/")[2]).startswith(start)]

    def listed(self, start: str = "") -> dict[str, int]:
        """Sizes of the files below the folder, by path, for paths that begin with `start`."""
        folder = start.rpartition("/")[0]
        with reaching(self.path, "list"):
            try:
                files = self._fs.find(self._at(folder), detail=True)
            except FileNotFoundError:
                return {}
        names = {name.removeprefix(f"{self._root}/"): int(facts["size"] or 0) for name, facts in files.items()}
        return {name: size for name, size in names.items() if name.startswith(start)}

    def exists(self, name: str) -> bool:
        """Whether there is a file of this name; checks the file, not a listing."""
        with suppress(FileNotFoundError), reaching(self.path / name):
            return bool(self._fs.info(self._at(name))["type"] == "file")
        return False

    def read(self, name: str) -> bytes:
        """The content of a file."""
        with reaching(self.path / name):
            return bytes(self._fs.cat_file(self._at(name)))

    def read_all(self, names: Sequence[str]) -> dict[str, bytes]:
        """The contents of these files, read at once; missing files are left out."""

        def content(name: str) -> bytes | None:
            with suppress(FileNotFoundError):
                return self.read(name)
            return None

        with ThreadPoolExecutor(_AT_ONCE) as pool:
            read = zip(names, pool.map(content, names), strict=True)
        return {name: content for name, content in read if content is not None}

    def sizes(self, names: Sequence[str]) -> dict[str, int]:
        """The sizes of these files: from a listing if they are many, file by file for those it lacks."""
        listed = self.listed() if len(names) > 2 else {}
        sizes = {name: listed[name] for name in names if name in listed}
        for name in names:
            if name not in sizes:
                with suppress(FileNotFoundError), reaching(self.path / name):
                    sizes[name] = int(self._fs.info(self._at(name))["size"])
        return sizes

    def sha256(self, name: str) -> str:
        """The checksum of a file, read in blocks."""
        checksum = hashlib.sha256()
        with reaching(self.path / name), self._fs.open(self._at(name), "rb", block_size=_BLOCK) as file:
            while block := file.read(_BLOCK):
                checksum.update(block)
        return checksum.hexdigest()

    def create(self, name: str, content: bytes) -> bool:
        """Write a file unless one of that name exists."""

        def put() -> bool:
            try:
                self._put_new(name, content)
            except FileExistsError:
                return self._content(name) == content  # put by an earlier try, the library's own ones included
            return True

        def stored() -> bool | None:
            stored = self._content(name)
            return None if stored is None else stored == content

        return self._tried(name, put, stored)

    def put(self, name: str, content: bytes) -> None:
        """Write a file, or replace it."""
        self._tried(name, lambda: self._fs.pipe_file(self._at(name), content))

    def upload(self, source: Path, name: str) -> None:
        """Write a local file, or replace it."""
        self._tried(name, lambda: self._fs.put_file(str(source), self._at(name)))

    def download(self, name: str, target: Path) -> None:
        """Write a file's content to a local file."""
        with reaching(self.path / name):
            self._fs.get_file(self._at(name), str(target))

    def delete(self, names: Iterable[str]) -> None:
        """Delete these files; missing ones are ignored, also without the right to delete."""
        for name in names:
            if self.exists(name):
                with suppress(FileNotFoundError), reaching(self.path / name, "delete"):
                    self._fs.rm_file(self._at(name))

    def add(self, suffix: str, chunks: Chunks) -> Added:
        """Write an immutable file, named by its checksum; it is assembled on this machine first."""
        checksum = hashlib.sha256()
        with TemporaryDirectory(prefix="timbrec-") as folder:
            path = Path(folder, "file")
            with path.open("wb") as file:
                for chunk in chunks:
                    file.write(chunk)
                    checksum.update(chunk)
            added = Added(f"{checksum.hexdigest()[:32]}{suffix}", path.stat().st_size, checksum.hexdigest())
            self.upload(path, added.name)
        return added

    def array(self, file: Added, dtype: str, shape: tuple[int, int]) -> Rows:
        """An object that reads the rows it is indexed with, from a local copy or in ranges."""
        return RemoteRows(self._fs, self._at(file.name), file, dtype, shape, lambda: self.copy(file))

    def copy(self, file: Added, name: str = "") -> Copy:
        """A local copy of an immutable file, checked. Raises PlaceError if its content is not as it was written."""
        name = name or file.name

        def fill(target: Path) -> None:
            self.download(name, target)
            with target.open("rb") as copy:
                if hashlib.file_digest(copy, "sha256").hexdigest() != file.sha256:
                    raise PlaceError(f"{self.path / name} is not as it was written", fix="Copy or compute it again.")

        return Copy.of(Cache().get(file.sha256[:40], Path(name).name, file.bytes, fill), str(self.path / name))

    def work(self) -> Path:
        """A folder in the user's cache, named by the URL."""
        key = hashlib.sha256(str(self.path).encode()).hexdigest()[:16]
        return user_cache() / "work" / f"{self.path.name or 'root'}-{key}"

    def _tried(self, name: str, put: Callable[[], T], outcome: Callable[[], T | None] = lambda: None) -> T:
        """The result of `put`, which is called again, after pauses, while it fails for a reason that may pass.

        A put that failed may have reached the place: `outcome` then returns its result, or None to call it again.
        """
        for pause in (*_PAUSES, None):
            try:
                with reaching(self.path / name, "write"):
                    return put()
            except PlaceError as error:
                if not is_passing(error):
                    raise
                if (result := outcome()) is not None:
                    return result
                if pause is None:
                    raise
                time.sleep(pause)
        raise AssertionError("the last try returns or raises")

    def _put_new(self, name: str, content: bytes) -> None:
        """Put a file unless it exists. Raises FileExistsError.

        Places without conditional puts are checked first, so two writers may both pass.
        """
        with _creating:
            try:
                self._fs.pipe_file(self._at(name), content, mode="create")
            except (TypeError, NotImplementedError, ValueError):
                if self._fs.exists(self._at(name)):
                    raise FileExistsError(name) from None
                self._fs.pipe_file(self._at(name), content)

    def _content(self, name: str) -> bytes | None:
        with suppress(FileNotFoundError, PlaceError):
            return self.read(name)
        return None

    def _at(self, name: str) -> str:
        return f"{self._root}/{name}" if name else self._root
