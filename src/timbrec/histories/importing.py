"""Histories in a config: the export to read, and the tracks to match it with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import polars as pl
from pydantic import ConfigDict, Field

from timbrec.data.events import Events, make_events
from timbrec.data.settings import Name, Part, Paths, resolved
from timbrec.errors import ConfigError
from timbrec.histories.library import library, read_catalogue
from timbrec.histories.log import log_table
from timbrec.histories.matching import THRESHOLD, Matched, match
from timbrec.histories.reading import LEAST, History, load_history
from timbrec.types import Progress

DETECTED = "detect"
_WORDS = {"ambiguous": "that several tracks match", "unmatched": "without a track"}


class ImportConfig(Part):
    """A listening history as the log of a run.

    `import` is a name of `timbrec list importers`, or `detect`; `path` the export, several, or a folder. Plays are
    matched to the tracks of `music` (a folder or manifest of audio, with `ids` as for encoders) or of `catalogue` (a
    table); by default to the audio of the encoders. Further fields are the options of `timbrec history`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    importer: str = Field(alias="import")
    path: Annotated[Paths, Field(min_length=1)]
    music: Path | None = None
    catalogue: Path | None = None
    ids: str | None = None
    user: Name | None = None
    time_zone: str | None = None
    least_played: float = Field(LEAST, ge=0)
    private: bool = False
    threshold: float = Field(THRESHOLD, gt=0, le=100)
    ambiguous: Literal["leave", "first"] = "leave"
    remasters: Literal["apart", "same"] = "apart"

    def at(self, base: Path, music: Path | None = None, ids: str | None = None) -> ImportConfig:
        """A copy with paths that start at the folder `base`, and `music` where no tracks are named."""
        places: dict[str, object] = {"path": tuple(resolved(base, path) for path in self.path)}
        if self.music is not None:
            places["music"] = resolved(base, self.music)
        elif self.catalogue is not None:
            places["catalogue"] = resolved(base, self.catalogue)
        else:
            places |= {"music": music, "ids": self.ids or ids}
        return self.model_copy(update=places)


def import_log(config: ImportConfig, progress: Progress | None = None) -> Events:
    """The plays with a track as a log; its facts count dropped plays and the matches of each method."""
    if config.music is not None and config.catalogue is not None:
        raise ConfigError("`interactions` name both `music` and `catalogue`", fix="Keep one.")
    if config.music is None and config.catalogue is None:
        raise ConfigError("`interactions` are imported, and no tracks are named to match them with",
                          fix="Name a folder as `music`, or a table of tracks as `catalogue`.")  # fmt: skip
    importer = None if config.importer == DETECTED else config.importer
    history = load_history(
        config.path, importer, user=config.user, time_zone=config.time_zone, least_played=config.least_played,
        private=config.private,
    )  # fmt: skip
    tracks = _tracks(config, progress)
    matched = match(history.plays, tracks, config.threshold, ambiguous=config.ambiguous, remasters=config.remasters)
    log, undated = log_table(matched)
    names = {"user_id": "user", "track_id": "item", "timestamp": "time"}
    events = make_events(log.rename({name: role for name, role in names.items() if name in log.columns}))
    return replace(events, facts=tuple(_facts(history, matched, undated)))


def _tracks(config: ImportConfig, progress: Progress | None) -> pl.DataFrame:
    if config.music is not None:
        return library(config.music, config.ids, progress)
    return read_catalogue(config.catalogue or Path())


def _facts(history: History, matched: Matched, undated: int) -> list[tuple[str, str]]:
    """Rows for the data card."""
    facts = [(f"history: {label}", value) for label, value in history.facts]
    for method, recordings, plays, share in matched.summary.iter_rows():
        label = _WORDS.get(method, f"matched by {method}")
        facts.append((f"plays {label}", f"{plays:,} ({share:.1%}); recordings: {recordings:,}"))
    return [*facts, ("plays without a time, left out", f"{undated:,}")] if undated else facts
