"""Runs in a bucket: a working copy on this machine, and commits of what is finished.

In the bucket, a cell is `cells/HASH/cell.json`, written once, and its tables, named by their checksums and written
before it. The other files of a run lie in `files/`, named by their checksums; the newest `state-N.json` lists them.
Pages and tables of the newest state also have their plain names, for people. A run that was copied there from a disk
has plain names only, and is read as well.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from timbrec.errors import PlaceError
from timbrec.files import checksum, replacing, write_atomically
from timbrec.places import Added, location
from timbrec.places.bucket import Bucket
from timbrec.places.locations import Remote
from timbrec.places.numbered import newest_number, numbered
from timbrec.places.working import claim

_STEM = "state"
_APART = ("cells", "failed", "training", "files")  # no part of the state
_KEPT = ("probes", "inputs")  # named by their content: never removed from the working copy
_FOR_PEOPLE = (".html", ".csv", ".json")
_Files = dict[str, tuple[str, int]]  # checksum and size by name; the checksum is empty where nobody knows it


class Mirror:
    """The working copy of a run in a bucket. `folder` is the local folder of the run."""

    def __init__(self, path: Remote) -> None:
        earlier = path.parent.name == "earlier"  # the run was replaced by another one, which shares its cells
        root = path.parent.parent if earlier else path
        self.place = Bucket(root)
        self.work, self._claim = claim(self.place.work())  # in use while this lives
        self.folder = self.work.joinpath(*path.relative_to(root).parts)
        self._version, self._files = -1, _Files()
        self._finished: set[str] = set()

    def pull(self) -> None:
        """Bring the working copy to the newest state, and read the records of cells."""
        self._version, self._files = self._newest()
        for name, (sha256, _) in self._files.items():
            target = self.work / name
            if not sha256 or not target.is_file() or checksum(target) != sha256:
                self._fetch(name, sha256, target)
        for name in self._local() - self._files.keys():
            if name.partition("/")[0] not in _KEPT:
                (self.work / name).unlink()
        self.refresh()

    def push(self) -> None:
        """Commit the working copy as the next state, on top of commits by others since `pull`."""
        mine = {name: self._uploaded(name) for name in sorted(self._local())}
        if mine == self._files:
            return
        changed = {name: facts for name, facts in mine.items() if self._files.get(name) != facts}
        gone = self._files.keys() - mine.keys()
        state, version = mine, self._version
        while not self.place.create(numbered(_STEM, version + 1), self._content(state)):
            version, others = self._newest()
            state = {name: facts for name, facts in others.items() if name not in gone} | changed
        self._version, self._files = version + 1, state
        for name in changed:
            if "/" not in name and name.endswith(_FOR_PEOPLE):
                self.place.put(name, (self.work / name).read_bytes())

    def refresh(self) -> None:
        """Read the records of cells and failures that the bucket has and the working copy lacks."""
        listed = self.place.listed("cells/")
        names = [name for name in listed if name.endswith("/cell.json") and name.split("/")[1] not in self._finished]
        for name, content in self.place.read_all(names).items():
            self._keep(name.split("/")[1], content)
        failed = self.place.read_all(list(self.place.listed("failed/")))
        shutil.rmtree(self.work / "failed", ignore_errors=True)
        for name, content in failed.items():
            (self.work / name).parent.mkdir(parents=True, exist_ok=True)
            write_atomically(self.work / name, content)

    def knows(self, cell: str) -> bool:
        """Whether the cell was finished at the last refresh."""
        return cell in self._finished

    def has(self, cell: str) -> bool:
        """Whether the cell is finished; reads its record if no listing has shown it yet."""
        if cell not in self._finished:
            with suppress(FileNotFoundError):
                self._keep(cell, self.place.read(f"cells/{cell}/cell.json"))
        return cell in self._finished

    def add_cell(self, folder: Path) -> None:
        """Publish a finished cell: its tables, then its record. Does nothing if another process was faster."""
        for table in folder.glob("*.parquet"):
            sha256 = checksum(table)
            self.place.upload(table, f"cells/{folder.name}/{table.stem}-{sha256[:12]}.parquet")
        self.place.create(f"cells/{folder.name}/cell.json", (folder / "cell.json").read_bytes())
        for table in folder.glob("*.parquet"):
            table.unlink()
        self.has(folder.name)
        self.place.delete([f"failed/{folder.name}.txt"])

    def table(self, cell: str, name: str, sha256: str) -> Path:
        """A local copy of a cell's table, with its checksum verified. Raises FileNotFoundError and PlaceError."""
        for path in (f"cells/{cell}/{name}-{sha256[:12]}.parquet", f"cells/{cell}/{name}.parquet"):
            if (size := self.place.sizes([path]).get(path)) is not None:
                return self.place.copy(Added(f"{name}.parquet", size, sha256), path)
        raise FileNotFoundError(f"cells/{cell}/{name}.parquet is missing")

    def fail(self, cell: str) -> None:
        """Publish why a cell failed."""
        self.place.put(f"failed/{cell}.txt", (self.work / "failed" / f"{cell}.txt").read_bytes())

    def _keep(self, cell: str, content: bytes) -> None:
        path = self.work / "cells" / cell / "cell.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, content)
        self._finished.add(cell)

    def _newest(self) -> tuple[int, _Files]:
        version = newest_number(self.place, _STEM)
        if version is None:
            names = self.place.listed()
            return -1, {name: ("", size) for name, size in names.items() if name.partition("/")[0] not in _APART}
        try:
            files = json.loads(self.place.read(numbered(_STEM, version)))["files"]
            return version, {name: (str(facts["sha256"]), int(facts["bytes"])) for name, facts in files.items()}
        except (ValueError, KeyError, TypeError) as error:
            raise PlaceError(
                f"{self.place.path / numbered(_STEM, version)} is damaged",
                fix="Delete it to return to the state before it.",
            ) from error

    def _content(self, files: _Files) -> bytes:
        facts = {name: {"sha256": sha256, "bytes": size} for name, (sha256, size) in files.items()}
        return json.dumps({"writer": self.place.token, "files": facts}, indent=1).encode()

    def _local(self) -> set[str]:
        """The names of the working copy's files that belong to the state."""
        paths = (path.relative_to(self.work) for path in self.work.rglob("*") if path.is_file())
        return {path.as_posix() for path in paths if path.parts[0] not in _APART and not _is_hidden(path)}

    def _uploaded(self, name: str) -> tuple[str, int]:
        """Checksum and size of a file of the working copy, uploaded unless the last state has it."""
        path = self.work / name
        facts = checksum(path), path.stat().st_size
        if facts not in self._files.values():
            self.place.upload(path, _stored(name, facts[0]))
        return facts

    def _fetch(self, name: str, sha256: str, target: Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        with replacing(target) as partial:
            self.place.download(_stored(name, sha256) if sha256 else name, partial)
            if sha256 and checksum(partial) != sha256:
                raise PlaceError(f"{self.place.path / name} is not as it was written", fix="Run the benchmark again.")


@contextmanager
def working_folder(path: Path) -> Iterator[Path]:
    """Yield the local folder of a run; at the end, publish what was written to that of a run in a bucket."""
    path = location(path)
    if (mirror := mirror_of(path)) is None:
        yield path
        return
    yield mirror.folder
    mirror.push()


def mirror_of(path: Path) -> Mirror | None:
    """The working copy of a run in a bucket, brought to its newest state; None for a local run."""
    if not isinstance(path, Remote):
        return None
    mirror = Mirror(path)
    mirror.pull()
    return mirror


def _stored(name: str, sha256: str) -> str:
    return f"files/{sha256[:32]}{Path(name).suffix}"


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)
