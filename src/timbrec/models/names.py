"""Tracks of a model by the names that people give them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl

from timbrec.data.vocabulary import Vocabulary
from timbrec.errors import DataError
from timbrec.models.catalogue import labels, nearest
from timbrec.types import Array, Int

_DASH = " - "  # between an artist and a title


@dataclass(frozen=True, eq=False)
class Names:
    """The ids and the catalogue of a model, in which tracks are looked up."""

    items: Vocabulary
    catalogue: pl.DataFrame

    def rows(self, names: Iterable[str]) -> Int[Array, "n"]:
        """(n,) the rows of tracks named by id, path, "artist - title", "title - artist", or a title of one track.

        Raises DataError for a name of no track, with the nearest names, and for a title of several tracks.
        """
        names = list(names)
        rows = self.items.rows(names).copy()
        for place in np.flatnonzero(rows < 0):
            rows[place] = self._row(names[place])
        return rows

    def label(self, name: str) -> str:
        """The track of a name, for people: "title - artist", or as much as is known of it."""
        return str(labels(self.catalogue[self.rows([name])])[0])

    def _row(self, name: str) -> int:
        spelled = name.strip().lower()
        path = self.catalogue["path"].is_in([name, str(Path(name).absolute())]).fill_null(False)
        same = (path, _joined(spelled, self._artists, self._titles), _joined(spelled, self._titles, self._artists))
        for matching in (*same, self._titles == spelled):
            matches = matching.arg_true()
            if len(matches) == 1:
                return int(matches[0])
            if len(matches) > 1:
                self._refuse(name, matches)
        raise DataError(
            f"the model has no track {name!r}", fix=f"{nearest(name, self.catalogue)}Give an id or a title."
        )

    def _refuse(self, name: str, matches: pl.Series) -> None:
        rows = self.catalogue[matches]
        shown = labels(rows) + " (" + rows["track"] + ")"
        more = "; …" if len(matches) > 5 else ""
        raise DataError(f"{len(matches)} tracks are called {name!r}: {'; '.join(shown[:5])}{more}",
                        fix="Name one by its id.")  # fmt: skip

    @cached_property
    def _titles(self) -> pl.Series:
        return self.catalogue["title"].str.to_lowercase()

    @cached_property
    def _artists(self) -> pl.Series:
        return self.catalogue["artist"].str.to_lowercase()


def _joined(name: str, first: pl.Series, second: pl.Series) -> pl.Series:
    """Whether each row is called "first - second"; either may hold " - " itself."""
    words = name.split(_DASH)
    same = pl.repeat(False, len(first), eager=True)
    for place in range(1, len(words)):
        same |= (first == _DASH.join(words[:place])) & (second == _DASH.join(words[place:]))
    return same
