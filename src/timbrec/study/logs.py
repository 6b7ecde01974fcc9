"""The log and the table of tracks of a config: from tables, from an imported history, or from a data set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from timbrec.data.events import Events
from timbrec.data.items import make_items
from timbrec.data.log import read_log
from timbrec.data.table_kinds import Table
from timbrec.data.tables import open_table
from timbrec.errors import ConfigError, DataError, TimbrecError
from timbrec.histories.importing import ImportConfig, import_log
from timbrec.histories.reading import detect
from timbrec.study.config import Config
from timbrec.types import Progress


def read_interactions(config: Config, progress: Progress | None = None) -> Events:
    """The log of a config."""
    if (data := config.data) is not None:
        return data.events()
    if isinstance(config.interactions, ImportConfig):
        return import_log(_with_music(config.interactions, config), progress)
    if config.interactions is None:
        raise ConfigError("there are no interactions", fix="Name a log under `interactions`.")
    log = config.interactions.at(config.base)
    try:
        return read_log(log)
    except DataError as error:
        has_user = log.user is not None or "user" in log.columns
        if has_user or not (importer := _importer_of(log.source.paths)):  # exports are one person's
            raise
        fix = f"{error.fix} It is an export that `interactions: {{import: {importer}, path: ...}}` reads."
        raise DataError(error.what, count=error.count, example=error.example, fix=fix.strip()) from error


def read_tracks(config: Config) -> pl.DataFrame | None:
    """The items table of a config (see `make_items`); None without one, and for a data set without artists."""
    source = tracks_table(config)
    return None if source is None else make_items(*source)


def tracks_table(config: Config) -> tuple[Table, Mapping[Any, str | None]] | None:
    """The open items table and its columns by role: the user's, else that of a data set with artists."""
    if config.items is not None:
        return open_table(config.items.at(config.base).source), config.items.columns
    data = config.data
    items = data.items() if data is not None and data.has_artists() else None
    return None if items is None else (open_table(items), {})


def _importer_of(paths: Sequence[Path]) -> str | None:
    """The importer that reads all files; None if there is none."""
    try:
        importers = {detect(path) for path in paths}
    except TimbrecError:
        return None
    return importers.pop() if len(importers) == 1 else None


def _with_music(interactions: ImportConfig, config: Config) -> ImportConfig:
    """The settings of an import with paths resolved; plays are matched with the audio that encoders name.

    Raises ConfigError if encoders name several folders and the import names none.
    """
    folders = {config.at(entry.audio): entry.ids for entry in config.encoders.values() if entry.audio is not None}
    if len(folders) > 1 and interactions.music is None and interactions.catalogue is None:
        raise ConfigError("encoders name several folders of audio", example=[str(folder) for folder in folders],
                          fix="Name the one to match the history with: `music` in `interactions`.")  # fmt: skip
    music, ids = next(iter(folders.items()), (None, None))
    return interactions.at(config.base, music, None if ids is None else str(ids))
