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
from timbrec.types import Array, Int, Integer

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
        yield from self._paths.rows([name, str(absolute)])
        if os.sep in name:  # the library may have moved since
            end = str(Path(os.sep, *absolute.parts[-_PARTS:]))
            yield self._paths.texts.str.ends_with(end).arg_true().to_list()
        words = spelled.split(_DASH)
        starts = [_DASH.join(words[:place]) for place in range(1, len(words))]
        ends = [_DASH.join(words[place:]) for place in range(1, len(words))]
        for first, second in ((self._artists, self._titles), (self._titles, self._artists)):
            matches = zip(first.rows(starts), ends, strict=True)
            yield sorted({row for rows, end in matches for row in rows if second.texts[row] == end})
        yield from self._titles.rows([spelled])

    def _refuse(self, name: str, matches: list[int]) -> None:
        rows = self.catalogue[matches]
        shown = labels(rows) + " (" + rows["track"] + ")"
        more = "; …" if len(matches) > 5 else ""
        raise DataError(f"{len(matches)} tracks are called {name!r}: {'; '.join(shown[:5])}{more}",
                        fix="Name one by its id.")  # fmt: skip

    @cached_property
    def _paths(self) -> _Texts:
        return _Texts(self.catalogue["path"])

    @cached_property
    def _titles(self) -> _Texts:
        return _Texts(self.catalogue["title"].str.to_lowercase())

    @cached_property
    def _artists(self) -> _Texts:
        return _Texts(self.catalogue["artist"].str.to_lowercase())


class _Texts:
    """A text per track, looked up by its hash: comparing numbers takes a quarter of comparing texts."""

    def __init__(self, texts: pl.Series) -> None:
        self.texts = texts.fill_null("")
        self._hashes = _hashes(self.texts)

    def rows(self, texts: list[str]) -> list[list[int]]:
        """The rows with each of these texts; none for a blank one."""
        return [
            [row for row in np.flatnonzero(self._hashes == number).tolist() if self.texts[row] == text] if text else []
            for text, number in zip(texts, _hashes(pl.Series(texts, dtype=pl.String)) if texts else (), strict=True)
        ]


def _hashes(texts: pl.Series) -> Integer[Array, "n"]:
    return texts.to_frame().hash_rows().to_numpy().astype(np.uint32)
