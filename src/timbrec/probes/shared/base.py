"""The base class of probes, and the facts of a run that a probe may read."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from timbrec.data import compression
from timbrec.data.settings import resolved
from timbrec.errors import ConfigError, DataError

if TYPE_CHECKING:
    import polars as pl

    from timbrec.data.items import ItemsConfig
    from timbrec.data.split import Split
    from timbrec.probes.shared.labels import Labels

Head = Literal["linear", "mlp"]


@dataclass(frozen=True)
class Context:
    """The surroundings of a probe.

    Relative paths start at `base`. `split`, `tracks` (id and, where known, artist; row i is item i of the split) and
    `items` (the table of tracks, with absolute paths) belong to a run; they are None without one.
    """

    base: Path = Path()
    split: Split | None = None
    tracks: pl.DataFrame | None = None
    items: ItemsConfig | None = None

    def at(self, path: Path) -> Path:
        """A path of the settings as seen from the working folder."""
        return resolved(self.base, path)

    def log(self, name: str) -> tuple[Split, pl.DataFrame]:
        """The split and the tracks of the run. Raises ConfigError without a run."""
        if self.split is None or self.tracks is None:
            raise ConfigError(f"probe {name!r} needs a listening log", fix="Name it under `probes` of a config.")
        return self.split, self.tracks


@dataclass(frozen=True)
class Probe(ABC):
    """The settings of a probe; `labels` reads its labels.

    `head` is the model on top of the vectors: `linear`, or `mlp` with one hidden layer. `seed` decides the split where
    the data set has none, and the shuffled control. `version` is part of a result's hash; raise it with every change of
    numbers. `data` is the data set as cards of encoders name it, empty for a user's own labels. `own_tracks` says that
    the labels belong to the tracks of the run, not to a data set with audio of its own.
    """

    head: Head = "linear"
    seed: int = 0

    version: ClassVar[int] = 1
    data: ClassVar[str] = ""
    licence: ClassVar[str] = ""
    citation: ClassVar[str] = ""
    url: ClassVar[str] = ""
    own_tracks: ClassVar[bool] = False

    @abstractmethod
    def labels(self, context: Context) -> Labels:
        """The labels of all tracks. Raises DataError for files that are missing or have another layout."""


def find_file(folder: Path, names: tuple[str, ...], url: str) -> Path:
    """The first of the files that exists in the folder, compressed or not.

    Raises DataError, with all names that were tried, if there is none.
    """
    for name in names:
        path = folder / name
        for candidate in (path, *(path.with_name(path.name + suffix) for suffix in compression.SUFFIXES)):
            if candidate.is_file():
                return candidate
    expected = " or ".join(names)
    if not folder.is_dir():
        raise DataError(f"there is no folder {folder}", fix=f"It should hold {expected}. Get it from {url}.")
    present = ", ".join(sorted(path.name for path in folder.iterdir())[:8]) or "nothing"
    raise DataError(f"{folder} has another layout: no {expected}", fix=f"It holds {present}. Get the data from {url}.")
