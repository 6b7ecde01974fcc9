"""The log of a training: JSON lines and, where tensorboard is installed, curves."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any


class Log:
    """The epochs of a training: a line of `log.jsonl` each and, where tensorboard is installed, event files.

    `entries` are the epochs of a training that is resumed. They replace an earlier log in the folder, so no epoch is
    logged twice. A `folder` of None keeps no log.
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
        """Append an epoch; every number in it becomes a point of the curve with its name."""
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
        """Close the event file."""
        if self._curves is not None:
            self._curves.close()


def _curves(folder: Path) -> Any:
    """A writer of event files that invalidates earlier ones in the folder; None without tensorboard."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder), purge_step=0)
