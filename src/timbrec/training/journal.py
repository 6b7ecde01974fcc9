"""The journal: where training keeps its log and its checkpoint, and to whom it reports. It decides no number."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Journal:
    """`folder` gets the log (see `Log`) and `checkpoint.safetensors`, and is resumed from; None keeps none.

    `progress` is called at every step with loss and metric in words, and with the steps done and the most there can be.
    `shared` is where fits that several trainings need are kept for all of them; None keeps none.
    """

    folder: Path | None = None
    progress: Progress | None = None
    shared: Path | None = None
    within: str = ""

    def inside(self, name: str) -> Journal:
        """The journal of a training within this one: in a folder of its own, and reported under its name."""
        folder = None if self.folder is None else self.folder / name
        return replace(self, folder=folder, within=f"{self.within}{name} ")

    def report(self, what: str, done: int, total: int) -> None:
        """Tell whoever listens."""
        if self.progress is not None:
            self.progress(self.within + what, done, total)


class Log:
    """What happened in each epoch: a line of `log.jsonl` each and, where tensorboard is installed, its event files.

    `entries` are the epochs so far; whatever an earlier log in the folder holds is replaced by them, so that no epoch
    stands there twice. None keeps no log.
    """

    def __init__(self, folder: Path | None, entries: Sequence[dict[str, Any]] = ()) -> None:
        self.file, self._curves = None if folder is None else folder / "log.jsonl", None
        if folder is None:
            return
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "log.jsonl").write_text("")
        self._curves = _curves(folder)
        for entry in entries:
            self.write(entry)

    def write(self, entry: dict[str, Any]) -> None:
        """Append an epoch; every number in it becomes a point of the curve of its name."""
        if self.file is None:
            return
        with self.file.open("a") as lines:
            lines.write(json.dumps(entry) + "\n")
        if self._curves is not None:
            for name, value in entry.items():
                if name != "epoch":
                    self._curves.add_scalar(name, value, entry["epoch"])
            self._curves.flush()

    def close(self) -> None:
        """Let go of the event file."""
        if self._curves is not None:
            self._curves.close()


def _curves(folder: Path) -> Any:
    """A writer of event files, before which none of the folder counts any more; None without tensorboard."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder), purge_step=0)


_CURRENT: ContextVar[Journal] = ContextVar("journal", default=Journal())  # noqa: B039 - it is frozen


def current() -> Journal:
    """The journal in force here."""
    return _CURRENT.get()


@contextmanager
def recording(journal: Journal) -> Iterator[None]:
    """Everything trained inside the `with` block is kept in this journal."""
    token = _CURRENT.set(journal)
    try:
        yield
    finally:
        _CURRENT.reset(token)
