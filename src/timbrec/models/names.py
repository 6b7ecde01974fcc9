"""Tracks of a model by the names that people give them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl

from timbrec.data.vocabulary import Vocabulary
from timbrec.errors import DataError
from timbrec.models.catalogue import labels, nearest
from timbrec.types import Array, Int

_PARTS = 3  # of a path's end, which name a track wherever its library is
_DASH = " - "  # between an artist and a title


@dataclass(frozen=True, eq=False)
class Names:
    """The ids and the catalogue of a model, in which tracks are looked up."""

    items: Vocabulary
    catalogue: pl.DataFrame

    def rows(self, names: Iterable[str]) -> Int[Array, "n"]:
        """(n,) the rows of tracks named by id, path, "artist - title", "title - artist", or a title of one track.

        A path that no track has names the track with the same last three parts.

        Raises DataError for a name of no track, with the nearest names, and for a title of several tracks.
        """
        names = list(names)
        rows = self.items.rows(names).copy()
        for place in np.flatnonzero(rows < 0):
            rows[place] = self._row(names[place])
        return rows

    def label(self, name: str) -> str:
        """The track of a name, for people: "title - artist", or as much as is known of it."""
        return str(labels(self.catalogue[self.rows([name]).tolist()])[0])

    def _row(self, name: str) -> int:
        for matches in self._matches(name):
            if len(matches) == 1:
                return matches[0]
            if len(matches) > 1:
                self._refuse(name, matches)
        raise DataError(
            f"the model has no track {name!r}", fix=f"{nearest(name, self.catalogue)}Give an id or a title."
        )

    def _matches(self, name: str) -> Iterator[list[int]]:
        """The rows with the name as path, end of path, artist and title, title and artist, or title, in this order."""
        spelled = name.strip().lower()
        if not spelled:
            return
        absolute = Path(name).absolute()
        for path in dict.fromkeys((name, str(absolute))):
            yield _equal(self._paths, path)
        if os.sep in name:  # the library may have moved since
            end = str(Path(os.sep, *absolute.parts[-_PARTS:]))
            yield np.flatnonzero(self._paths.str.ends_with(end).to_numpy()).tolist()
        words = spelled.split(_DASH)
        pairs = [(_DASH.join(words[:place]), _DASH.join(words[place:])) for place in range(1, len(words))]
        for first, second in ((self._artists, self._titles), (self._titles, self._artists)):
            yield sorted({row for start, end in pairs for row in _equal(first, start) if second[row] == end})
        yield _equal(self._titles, spelled)

    def _refuse(self, name: str, matches: list[int]) -> None:
        rows = self.catalogue[matches]
        shown = labels(rows) + " (" + rows["track"] + ")"
        more = "; …" if len(matches) > 5 else ""
        raise DataError(f"{len(matches)} tracks are called {name!r}: {'; '.join(shown[:5])}{more}",
                        fix="Name one by its id.")  # fmt: skip

    @cached_property
    def _paths(self) -> pl.Series:
        return self.catalogue["path"].fill_null("")

    @cached_property
    def _titles(self) -> pl.Series:
        return self.catalogue["title"].str.to_lowercase().fill_null("")

    @cached_property
    def _artists(self) -> pl.Series:
        return self.catalogue["artist"].str.to_lowercase().fill_null("")


def _equal(column: pl.Series, name: str) -> list[int]:
    """The rows of a column without nulls that are this name; none for a blank one."""
    rows: list[int] = np.flatnonzero((column == name).to_numpy()).tolist() if name else []
    return rows
