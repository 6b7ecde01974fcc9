"""CAL500 and emotions: tags of songs, in the files of the Mulan library."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import polars as pl

from timbrec.data.compression import opened
from timbrec.data.faults import readable
from timbrec.errors import DataError
from timbrec.probes.shared.base import Context, Probe, find_file
from timbrec.probes.shared.labels import Labels
from timbrec.types import Array, Float

_ATTRIBUTE = re.compile(r"@attribute\s+('[^']*'|\"[^\"]*\"|\S+)\s+(.+)", re.IGNORECASE)


@dataclass(frozen=True)
class Mulan(Probe):
    """174 tags of the 502 songs of CAL500, or six moods of the 593 clips of `emotions`.

    Ids are the numbers of the rows, from 0: the files name no songs. `path` is a folder with CAL500.arff or
    emotions.arff, compressed or not. The files hold features too, which `read` returns. There is no split by artist.
    """

    path: Path = Path("mulan")
    collection: Literal["CAL500", "emotions"] = "CAL500"

    data: ClassVar[str] = "CAL500 and emotions"
    licence: ClassVar[str] = "research use"
    citation: ClassVar[str] = (
        "Turnbull, Barrington, Torres & Lanckriet: Semantic annotation and retrieval of music and sound effects. "
        "IEEE TASLP 16(2), 2008; Trohidis, Tsoumakas, Kalliris & Vlahavas: Multi-label classification of music into "
        "emotions. ISMIR 2008"
    )
    url: ClassVar[str] = "https://mulan.sourceforge.net/datasets-mlc.html"

    def labels(self, context: Context) -> Labels:
        """The tags of all songs."""
        names, tags, _ = self.read(context)
        tracks = pl.DataFrame({"id": [str(row) for row in range(len(tags))]})
        return Labels(tracks, "tags", tags > 0, names)

    def read(self, context: Context) -> tuple[tuple[str, ...], Float[Array, "n tags"], Float[Array, "n features"]]:
        """The names of the tags, the tags and the features of the file. Raises DataError for another layout."""
        path = find_file(context.at(self.path), (f"{self.collection}.arff",), self.url)
        names, binary, rows = _read(path)
        return tuple(name for name, tag in zip(names, binary, strict=True) if tag), rows[:, binary], rows[:, ~binary]


def _read(path: Path) -> tuple[list[str], Array, Float[Array, "n columns"]]:
    """The names of an ARFF file's attributes, which of them are 0 or 1, and the rows."""
    with readable(path), opened(path) as file:
        lines = file.read().decode("utf-8", "replace").splitlines()
    start = next((place for place, line in enumerate(lines) if line.strip().lower() == "@data"), len(lines))
    attributes = [match for line in lines[:start] if (match := _ATTRIBUTE.match(line.strip()))]
    data = [line for line in lines[start + 1 :] if line.strip() and not line.startswith("%")]
    try:
        if not data:
            raise ValueError("it has no rows")
        rows = np.loadtxt(data, delimiter=",", ndmin=2)
        if rows.shape[1] != len(attributes):
            raise ValueError(f"{rows.shape[1]} values for {len(attributes)} attributes")
    except ValueError as error:
        raise DataError(f"{path} is no dense ARFF file of numbers: {error}", fix="Get the file again.") from error
    binary = np.array([re.sub(r"\s", "", match[2]) == "{0,1}" for match in attributes])
    return [match[1].strip("'\"") for match in attributes], binary, rows
