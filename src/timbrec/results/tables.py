"""Further tables of a run, one function each in the catalogue: computed once, then read while nothing changed."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl

from timbrec import catalog
from timbrec.files import checksum, replacing, write_atomically
from timbrec.results.figures import Figures
from timbrec.study.digests import digests
from timbrec.study.runs import Run
from timbrec.types import Progress

_FOLDER, _STATE = "tables", "tables.json"


def further_tables(run: Run, figures: Figures, progress: Progress | None = None) -> dict[str, pl.DataFrame]:
    """The tables of the catalogue's functions by name; a function that returns None gives no table.

    Tables lie in `tables/` of the run's folder and are read from there while run and code stay the same.
    """
    if (stored := _read(run)) is not None:
        return stored
    made = {name: catalog.load("tables", name)(run, figures, progress) for name in catalog.names("tables")}
    tables = {name: table for name, table in made.items() if table is not None}
    _write(run, tables)
    return tables


def _write(run: Run, tables: dict[str, pl.DataFrame]) -> None:
    (run.folder / _FOLDER).mkdir(exist_ok=True)
    for name, table in tables.items():
        with replacing(_path(run, name)) as partial:
            table.write_parquet(partial)
    state = {"depends on": digests(run), "files": {name: checksum(_path(run, name)) for name in tables}}
    write_atomically(run.folder / _STATE, json.dumps(state, indent=1))


def _read(run: Run) -> dict[str, pl.DataFrame] | None:
    try:
        state = json.loads((run.folder / _STATE).read_text())
        if state["depends on"] != digests(run):
            return None
        if any(checksum(_path(run, name)) != expected for name, expected in state["files"].items()):
            return None
        return {name: pl.read_parquet(_path(run, name)) for name in state["files"]}
    except (OSError, ValueError, KeyError, TypeError, pl.exceptions.PolarsError):
        return None  # computing them again is always right


def _path(run: Run, name: str) -> Path:
    return run.folder / _FOLDER / f"{name}.parquet"
