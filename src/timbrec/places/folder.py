"""A folder of this machine: files are written under a temporary name, flushed to disk, then renamed in one step."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from timbrec.errors import StoreError
from timbrec.files import aside, checksum, flush, write_atomically
from timbrec.places.locks import alone
from timbrec.places.place import Added, Chunks, Place, Rows

_LINKLESS = (errno.EPERM, errno.EMLINK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)


class Folder(Place):
    """A local folder.

    A hard link, unlike a rename, fails when the name is taken: it makes `create` exclusive. File systems without hard
    links, such as exFAT and network shares, get a lock around the check and the rename.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def prepare(self) -> None:
        """Make the folder and its parents."""
        self.path.mkdir(parents=True, exist_ok=True)

    def names(self, start: str) -> list[str]:
        """The names of files that begin with `start`."""
        return [path.name for path in self.path.glob(f"{start}*")]

    def exists(self, name: str) -> bool:
        """Whether there is a file of this name."""
        return (self.path / name).is_file()

    def read(self, name: str) -> bytes:
        """The content of a file."""
        return (self.path / name).read_bytes()

    def sizes(self, names: Sequence[str]) -> dict[str, int]:
        """The sizes of these files; missing ones are left out."""
        sizes = {}
        for name in names:
            try:
                sizes[name] = (self.path / name).stat().st_size
            except OSError:
                continue
        return sizes

    def sha256(self, name: str) -> str:
        """The checksum of a file."""
        return checksum(self.path / name)

    def create(self, name: str, content: bytes) -> bool:
        """Write a file unless one of that name exists."""
        with self._temporary([content]) as (path, _):
            try:
                os.link(path, self.path / name)
            except FileExistsError:
                return False
            except OSError as error:
                if error.errno not in _LINKLESS:
                    raise
                return self._renamed(path, name)
        return True

    def put(self, name: str, content: bytes) -> None:
        """Write a file, or replace it."""
        write_atomically(self.path / name, content)

    def delete(self, names: Iterable[str]) -> None:
        """Delete these files; missing ones are ignored."""
        for name in names:
            (self.path / name).unlink(missing_ok=True)

    def add(self, suffix: str, chunks: Chunks) -> Added:
        """Write an immutable file, named by its checksum."""
        with self._temporary(chunks) as (path, sha256):
            file = Added(f"{sha256[:32]}{suffix}", path.stat().st_size, sha256)
            path.replace(self.path / file.name)
        return file

    def array(self, file: Added, dtype: str, shape: tuple[int, int]) -> Rows:
        """Map the array. The map is not kept, since each holds a file handle."""
        header = file.bytes - np.dtype(dtype).itemsize * shape[0] * shape[1]
        return np.memmap(self.path / file.name, dtype, "r", offset=header, shape=shape)

    def work(self) -> Path:
        """The folder itself."""
        return self.path

    def _renamed(self, path: Path, name: str) -> bool:
        """Give a temporary file its name, unless the name is taken; returns whether it has it."""
        with alone(self.path / ".create.lock"):
            if os.path.lexists(self.path / name):
                return False
            path.replace(self.path / name)
        return True

    @contextmanager
    def _temporary(self, chunks: Chunks) -> Iterator[tuple[Path, str]]:
        """Yield a flushed temporary file and its checksum. Nothing reads the leftovers of a killed writer."""
        content = hashlib.sha256()
        try:
            with aside(self.path / "file") as path:
                with path.open("xb") as file:
                    for chunk in chunks:
                        file.write(chunk)
                        content.update(chunk)
                    file.flush()
                    os.fsync(file.fileno())
                yield path, content.hexdigest()
                flush(self.path)
        except OSError as error:
            raise StoreError(
                f"cannot write into {self.path}: {error.strerror}", fix="Check the free space and the permissions."
            ) from error
