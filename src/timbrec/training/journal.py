"""The journal: where training keeps its log and its checkpoint, and to whom it reports. It decides no number."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

Progress = Callable[[str, int, int], None]  # what is going on, done, total


@dataclass(frozen=True)
class Journal:
    """`folder` gets `log.jsonl` (a line an epoch) and `checkpoint.safetensors`, and is resumed from; None keeps none.

    `progress` is called at every step with loss and metric in words, and with the steps done and the most there can be.
    """

    folder: Path | None = None
    progress: Progress | None = None

    def inside(self, name: str) -> Journal:
        """The journal of a training within this one, in a folder of its own."""
        return self if self.folder is None else replace(self, folder=self.folder / name)

    def write(self, entries: list[dict[str, Any]], afresh: bool = False) -> None:
        """Append entries to the log; `afresh` replaces what it held, so that a resumed log has no epoch twice."""
        if self.folder is None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "log.jsonl").open("w" if afresh else "a") as log:
            log.writelines(json.dumps(entry) + "\n" for entry in entries)

    def report(self, what: str, done: int, total: int) -> None:
        """Tell whoever listens."""
        if self.progress is not None:
            self.progress(what, done, total)


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
