"""Stored figures: tables and verdicts in a run's folder, read again while nothing has changed."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import polars as pl

from timbrec.files import replacing, write_atomically
from timbrec.results.figures import DIFFERENCES, FIGURES, GAINS, STANDINGS, Figures
from timbrec.results.freshness import read_record, write_record
from timbrec.results.verdict import Verdict
from timbrec.statistics.intervals import Interval
from timbrec.study.runs import Run

_TABLES: dict[str, Any] = {"results": FIGURES, "standings": STANDINGS, "gains": GAINS, "differences": DIFFERENCES}
_STATE = "figures.json"


def write_figures(run: Run, figures: Figures) -> None:
    """Write results.csv, standings.csv, gains.csv, differences.csv and users.parquet, then digests of their inputs."""
    tables = (figures.figures, figures.standings, figures.gains, figures.differences)
    for name, table in zip(_TABLES, tables, strict=True):
        write_atomically(run.folder / f"{name}.csv", table.write_csv())
    with replacing(run.folder / "users.parquet") as partial:
        figures.users.write_parquet(partial)
    files = [run.folder / name for name in (*(f"{name}.csv" for name in _TABLES), "users.parquet")]
    write_record(run, _STATE, files, verdicts=[asdict(verdict) for verdict in figures.verdicts])


def read_figures(run: Run) -> Figures | None:
    """The figures that were written last; None where there are none, or where the run or the code changed since."""
    if (state := read_record(run, _STATE)) is None:
        return None
    try:
        figures, standings, gains, differences = (
            pl.read_csv(run.folder / f"{name}.csv", schema=schema, glob=False) for name, schema in _TABLES.items()
        )
        users = pl.read_parquet(run.folder / "users.parquet", glob=False)
        verdicts = tuple(_verdict(**entry) for entry in state["verdicts"])
    except (OSError, ValueError, KeyError, TypeError, pl.exceptions.PolarsError):
        return None  # computing them again is always right
    return Figures(figures, standings, gains, differences, users, verdicts)


def _verdict(lead: dict[str, Any] | None, **rest: Any) -> Verdict:
    interval = None if lead is None else Interval(**lead)
    lists = {name: tuple(value) for name, value in rest.items() if isinstance(value, list)}
    return Verdict(lead=interval, **rest | lists)
