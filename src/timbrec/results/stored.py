"""Stored figures: tables and verdicts in a run's folder, read again while nothing has changed."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import polars as pl

from timbrec.files import checksum, replacing, write_atomically
from timbrec.results.figures import DIFFERENCES, FIGURES, GAINS, STANDINGS, Figures
from timbrec.results.verdict import Verdict
from timbrec.statistics.intervals import Interval
from timbrec.study.digests import digests
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
    state = {
        "depends on": digests(run),
        "files": _checksums(run),
        "verdicts": [asdict(verdict) for verdict in figures.verdicts],
    }
    write_atomically(run.folder / _STATE, json.dumps(state, indent=1))


def read_figures(run: Run) -> Figures | None:
    """The figures that were written last; None where there are none, or where the run or the code changed since."""
    path = run.folder / _STATE
    if not path.is_file():
        return None
    try:
        state = json.loads(path.read_text())
        if state["depends on"] != digests(run) or state["files"] != _checksums(run):
            return None
        figures, standings, gains, differences = (
            pl.read_csv(run.folder / f"{name}.csv", schema=schema) for name, schema in _TABLES.items()
        )
        users = pl.read_parquet(run.folder / "users.parquet")
        verdicts = tuple(_verdict(**entry) for entry in state["verdicts"])
    except (OSError, ValueError, KeyError, TypeError, pl.exceptions.PolarsError):
        return None  # computing them again is always right
    return Figures(figures, standings, gains, differences, users, verdicts)


def _checksums(run: Run) -> dict[str, str]:
    """Hashes of the tables as they are now, so that an edited one is not taken for ours."""
    files = [run.folder / name for name in (*(f"{name}.csv" for name in _TABLES), "users.parquet")]
    return {path.name: checksum(path) for path in files}


def _verdict(lead: dict[str, Any] | None, winners: list[str], unbeaten: list[str], **rest: Any) -> Verdict:
    interval = None if lead is None else Interval(**lead)
    return Verdict(lead=interval, winners=tuple(winners), unbeaten=tuple(unbeaten), **rest)
