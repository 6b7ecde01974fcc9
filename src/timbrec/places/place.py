"""The contract of a place for immutable files: a local folder or a bucket."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

Chunks = Iterable[bytes | memoryview]


@dataclass(frozen=True)
class Added:
    """A file named by its content."""

    name: str
    bytes: int
    sha256: str


@runtime_checkable
class Rows(Protocol):
    """A (rows, columns) array that can be indexed by row numbers."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Numbers of rows and columns."""

    @property
    def itemsize(self) -> int:
        """Bytes of a value."""

    def __getitem__(self, rows: Any, /) -> Any:
        """The rows of these numbers."""


class Place(ABC):
    """A folder in any kind of place: files appear as a whole, and only one of two writers creates a name.

    `path` names the place in messages. `token` is a text that a writer includes in the content it creates. It is unique
    to the writer if an answer to `create` may be lost, else empty. Listings may lag behind: a name that `names` lacks
    may exist. Errors of local files are OSErrors; errors of remote files are PlaceErrors, except FileNotFoundError.
    """

    path: Path
    token: str = ""

    @abstractmethod
    def prepare(self) -> None:
        """Make the folder, in places that have folders."""

    @abstractmethod
    def names(self, start: str) -> list[str]:
        """The names of files that begin with `start`; may lag behind."""

    @abstractmethod
    def exists(self, name: str) -> bool:
        """Whether there is a file of this name; checks the file, not a listing."""

    @abstractmethod
    def read(self, name: str) -> bytes:
        """The content of a file. Raises FileNotFoundError."""

    @abstractmethod
    def sizes(self, names: Sequence[str]) -> dict[str, int]:
        """The sizes of these files; missing ones are left out."""

    @abstractmethod
    def sha256(self, name: str) -> str:
        """The checksum of a file, in hexadecimal digits; reads it all. Raises FileNotFoundError."""

    @abstractmethod
    def create(self, name: str, content: bytes) -> bool:
        """Write a file unless one of that name exists; return whether this call wrote it."""

    @abstractmethod
    def put(self, name: str, content: bytes) -> None:
        """Write a file, or replace it as a whole."""

    @abstractmethod
    def delete(self, names: Iterable[str]) -> None:
        """Delete these files; missing ones are ignored."""

    @abstractmethod
    def add(self, suffix: str, chunks: Chunks) -> Added:
        """Write an immutable file, named by its checksum, so that writers cannot overwrite each other's files."""

    @abstractmethod
    def array(self, file: Added, dtype: str, shape: tuple[int, int]) -> Rows:
        """The (rows, columns) array at the end of an added file; only requested rows are read."""

    @abstractmethod
    def work(self) -> Path:
        """A local folder for files that are not committed yet, the same at every call."""
