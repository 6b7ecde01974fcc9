"""Filters of recommendations: which tracks may be in a list, and how many of one artist."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import polars as pl

from timbrec.errors import ConfigError, DataError
from timbrec.models.catalogue import nearest
from timbrec.types import Array, Bool

_LAST = 9999  # year
Kind = Literal["all", "known", "new"]


@dataclass(frozen=True)
class Filters:
    """Limits on the tracks of a list.

    - `heard`: tracks that the user played may be in the list; by default they are left out.
    - `kind`: all tracks, only tracks that somebody played (`known`), or only tracks that nobody played yet (`new`).
    - `per_artist`: the largest number of tracks of one artist.
    - `since`, `until`: the first and last year of release; tracks without a year are then left out.
    - `allow`, `deny`: track ids or names of artists; with `allow`, nothing else is listed.
    - `new_share`: the share of new tracks in the list, evenly spread, from 0 to 1; "auto" merges both kinds by
      calibrated scores; None takes scores as they are.
    - `hubs`: a correction of cosines, so that tracks that are near everything do not fill all lists: "csls" (or True,
      see `hubs.density`) or "mutual" for mutual proximity (`hubs.Proximity`).
    - `same`: several tracks of one recording may be in the list; by default only the best one.
    """

    heard: bool = False
    kind: Kind = "all"
    per_artist: int | None = None
    since: int | None = None
    until: int | None = None
    allow: Iterable[str] = field(default=())
    deny: Iterable[str] = field(default=())
    new_share: float | Literal["auto"] | None = None
    same: bool = False
    hubs: Literal["csls", "mutual"] | bool = False

    def __post_init__(self) -> None:
        if self.kind not in ("all", "known", "new"):
            raise ConfigError(f"there are no tracks of kind {self.kind!r}", fix="Choose all, known or new.")
        if self.hubs not in (True, False, "csls", "mutual"):
            raise ConfigError(f"there is no correction of hubs called {self.hubs!r}", fix="Choose csls or mutual.")
        if self.per_artist is not None and self.per_artist < 1:
            raise ConfigError("a list holds at least one track per artist", example=self.per_artist)
        for name, year in (("since", self.since), ("until", self.until)):
            if year is not None and not 1 <= year <= _LAST:
                raise ConfigError(f"`{name}` is a year of four digits", example=year, fix="For example: 1990.")
        if self.since is not None and self.until is not None and self.since > self.until:
            raise ConfigError(f"the release window starts in {self.since} and ends before it, in {self.until}",
                              fix="Exchange the years, or leave one out.")  # fmt: skip

    @property
    def need_all_scores(self) -> bool:
        """Whether a list depends on the scores of all tracks, not on the best ones alone."""
        return bool(self.hubs) or self.new_share is not None

    def allowed(self, catalogue: pl.DataFrame, new: Bool[Array, "tracks"]) -> Bool[Array, "tracks"]:
        """(tracks,) whether each track of the catalogue passes, apart from `heard` and limits on a whole list.

        Raises DataError for a window without any year in the catalogue, for lists that name nothing of the catalogue,
        and where nothing is left.
        """
        mask = np.ones(len(catalogue), bool) if self.kind == "all" else new if self.kind == "new" else ~new
        mask = mask & _released(catalogue, self.since, self.until)
        allow, deny = list(self.allow), list(self.deny)
        if allow:
            mask = mask & _named(catalogue, allow, "allow")
        if deny:
            mask = mask & ~_named(catalogue, deny, "deny")
        if not mask.any():
            raise DataError("no track of the model passes these filters", fix="Leave one of them out.")
        return mask


def _released(catalogue: pl.DataFrame, since: int | None, until: int | None) -> Bool[Array, "tracks"]:
    if since is None and until is None:
        return np.ones(len(catalogue), bool)
    years = catalogue["year"]
    if years.null_count() == len(years):
        raise DataError("the model knows the year of no track", fix="Leave out --since and --until.")
    known = years.fill_null(-1).to_numpy()
    mask: Bool[Array, "tracks"] = (known >= (since or 0)) & (known <= (until or _LAST))
    if not mask.any():
        window = " ".join(f"{word} {year}" for word, year in (("since", since), ("until", until)) if year is not None)
        first, last = known[known >= 0].min(), known.max()
        raise DataError(f"no track of the model was released {window}", fix=f"Its years are {first} to {last}.")
    return mask


def _named(catalogue: pl.DataFrame, names: list[str], where: str) -> Bool[Array, "tracks"]:
    """(tracks,) whether the id or the artist is among the names. Raises DataError for a name of neither."""
    plain = [name.strip().lower() for name in names]
    artists = catalogue["artist"].str.to_lowercase()
    tracks, by_artist = catalogue["track"].is_in(names), artists.is_in(plain).fill_null(False)
    known = {*catalogue["track"].filter(tracks), *artists.filter(by_artist)}
    unknown = [name for name, form in zip(names, plain, strict=True) if name not in known and form not in known]
    if unknown:
        raise DataError(f"the {where} list names no track or artist of the model", count=len(unknown),
                        example=unknown[0], fix=nearest(unknown[0], catalogue, artists=True).strip())  # fmt: skip
    return (tracks | by_artist).to_numpy()
