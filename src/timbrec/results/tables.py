"""Further tables of a run, one function each in the catalogue: computed once, then reused while nothing changes."""

from __future__ import annotations

import polars as pl

from timbrec import catalog
from timbrec.files import checksum, replacing
from timbrec.results.figures import Figures
from timbrec.results.freshness import TABLES, read_record, write_record
from timbrec.study.probing import probes_digest
from timbrec.study.runs import Run
from timbrec.types import Progress

_STATE = "tables.json"
_INPUTS = ("leaks.json", "truth.json")  # beside figures and probes


def further_tables(run: Run, figures: Figures, progress: Progress | None = None) -> dict[str, pl.DataFrame]:
    """The tables of the catalogue's functions by name; a function that returns None gives no table.

    Tables lie in `tables/` of the run's folder and are read from there while run, probes, leaks and code stay the same.
    """
    if (stored := _read(run)) is not None:
        return stored
    made = {name: catalog.load("tables", name)(run, figures, progress) for name in catalog.names("tables")}
    tables = {name: table for name, table in made.items() if table is not None}
    _write(run, tables)
    return tables


def _write(run: Run, tables: dict[str, pl.DataFrame]) -> None:
    folder = run.folder / TABLES
    folder.mkdir(exist_ok=True)
    files = [folder / f"{name}.parquet" for name in tables]
    for path, table in zip(files, tables.values(), strict=True):
        with replacing(path) as partial:
            table.write_parquet(partial)
    write_record(run, _STATE, files, inputs=_inputs(run))


def _read(run: Run) -> dict[str, pl.DataFrame] | None:
    if (state := read_record(run, _STATE)) is None or state.get("inputs") != _inputs(run):
        return None
    try:
        files = [run.folder / name for name in state["files"]]
        return {path.stem: pl.read_parquet(path, glob=False) for path in files}
    except (OSError, pl.exceptions.PolarsError):
        return None  # computing them again is always right


def _inputs(run: Run) -> list[str]:
    """Hashes of the probes, leaks and tastes that further tables are made from."""
    files = [run.folder / name for name in _INPUTS]
    return [probes_digest(run.folder), *(checksum(path) if path.is_file() else "" for path in files)]
