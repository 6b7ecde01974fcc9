"""Runs on disk: one folder per run, in it one folder per finished cell, named by the hash of its experiment.

A rename puts a finished cell in place as a whole, so an interrupted run loses none.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl

from timbrec.data.split import SCENARIOS, Split, load_split, save_split
from timbrec.data.vocabulary import Vocabulary
from timbrec.errors import DataError
from timbrec.files import checksum, replacing, write_atomically
from timbrec.places import location
from timbrec.study.cell import Cell
from timbrec.study.earlier import keep_earlier
from timbrec.study.experiment import FORMAT, Experiment, read_experiments
from timbrec.study.mirror import Mirror, mirror_of
from timbrec.study.old import read_old_experiments
from timbrec.study.recent import Recent, Unchanged
from timbrec.types import Array, Int

TRACKS = "tracks.parquet"  # artists and genres of the catalogue's tracks, in row order


class Run:
    """A run's folder. The split is read on first use, cells one at a time.

    `location` is the folder, or the URL of a run in a bucket. `folder` is local: for a run in a bucket, the working
    copy of all files but the cells' tables, which `publish` commits (see `mirror`). `kept` is a sentence on where
    `create` moved an earlier run of the folder; None without one. `same` says that `create` found a run of the same
    facts there: config, inputs and versions.
    """

    kept: str | None = None
    same: bool = False

    def __init__(self, folder: Path) -> None:
        self._open(location(folder), mirror_of(location(folder)))

    def _open(self, place: Path, mirror: Mirror | None) -> None:
        self.location, self._mirror = place, mirror
        self.folder = place if mirror is None else mirror.folder
        if not (self.folder / "run.json").is_file():
            raise DataError(f"{place} is not a finished or interrupted run", fix="Name the `output` of a config.")
        self._recent, self._unchanged = Recent(), Unchanged()

    @classmethod
    def create(cls, folder: Path, facts: dict[str, Any], split: Split, alone: bool = True) -> Run:
        """Make a run's folder, or take over an existing one; `facts` (JSON) describe the run, its config included.

        A run of another config or split moves to `earlier/`, where it can still be reported; the new run reuses its
        cells. Unless `alone`, another process writes into the folder: its files are left alone.

        Raises DataError for a run of another format, and for one of another config or split that is not alone.
        """
        place = location(folder)
        mirror = mirror_of(place)
        folder = place if mirror is None else mirror.folder
        folder.mkdir(parents=True, exist_ok=True)
        _refuse_other_format(folder)
        kept = keep_earlier(folder, facts, split, alone)
        for leftover in [*(folder / "cells").glob(".*"), *(folder / "training" / "shared").glob(".*")] if alone else ():
            shutil.rmtree(leftover, ignore_errors=True)  # left by a run that was stopped while writing
        save_split(split, folder / "split")
        same = _write_facts(folder / "run.json", {"format": FORMAT} | facts)
        run = cls.__new__(cls)
        run._open(place, mirror)
        run.__dict__["split"] = split
        run.same = same
        run.kept = kept and kept.replace(str(folder), str(place))
        run.publish()
        return run

    def publish(self) -> None:
        """Commit the working copy of a run in a bucket; does nothing for a local run."""
        if self._mirror is not None:
            self._mirror.push()

    @cached_property
    def split(self) -> Split:
        """The split all cells share."""
        return load_split(self.folder / "split")

    @cached_property
    def tracks(self) -> pl.DataFrame:
        """The catalogue's tracks in row order: `id` and, if known, `artist` and `genre`."""
        path = self.folder / TRACKS
        return pl.read_parquet(path, glob=False) if path.is_file() else self.split.items.ids.to_frame()

    @cached_property
    def artists(self) -> Int[Array, "items"] | None:
        """A number per artist for each track, -1 if unknown; None where no artist of the run has a second track."""
        known = self.tracks["artist"] if "artist" in self.tracks.columns else pl.Series([], dtype=pl.String)
        return Vocabulary.numbers(known) if known.drop_nulls().n_unique() < known.drop_nulls().len() else None

    @cached_property
    def facts(self) -> dict[str, Any]:
        """The facts given to `create`."""
        facts: dict[str, Any] = json.loads((self.folder / "run.json").read_text())
        return facts

    @cached_property
    def _old(self) -> dict[str, Experiment]:
        """The plan of a run of format 1, by folder; empty for a run of this format."""
        if self.facts.get("format", 1) == FORMAT:
            return {}
        path = self.folder / "plan.json"
        return read_old_experiments(json.loads(path.read_text()), str(path))

    def has(self, experiment: Experiment) -> bool:
        """Whether the cell is finished."""
        folder = self._cell(experiment)
        return (folder / "cell.json").is_file() if self._mirror is None else self._mirror.has(folder.name)

    def write(self, cell: Cell) -> None:
        """Store a finished cell in one step, and delete the record of an earlier failure.

        Of two processes that finish a cell, the first counts.
        """
        folder = self._cell(cell.experiment)
        if self._mirror is None and self.has(cell.experiment):
            return
        folder.parent.mkdir(parents=True, exist_ok=True)
        with replacing(folder) as partial:
            partial.mkdir()
            for name, table in cell.records.items():
                table.write_parquet(partial / f"{name}.parquet")
            facts = {
                "experiment": asdict(cell.experiment),
                "records": {name: checksum(partial / f"{name}.parquet") for name in cell.records},
                "refused": cell.refused,
                "facts": cell.facts,
                "chosen": cell.chosen,
                "seconds": cell.seconds,
                "versions": cell.versions,
            }
            (partial / "cell.json").write_text(json.dumps(facts, indent=2))
        if self._mirror is not None:
            self._mirror.add_cell(folder)
        self._failure(cell.experiment).unlink(missing_ok=True)

    def read(self, experiment: Experiment, names: Sequence[str] = SCENARIOS) -> Cell:
        """A finished cell with the named records, where the cell has them.

        Raises DataError for files that are missing, were changed, or belong to another cell.
        """
        folder = self._cell(experiment)
        try:
            if self._mirror is not None and not self.has(experiment):
                raise FileNotFoundError("it has no cell.json")
            facts = self._unchanged.get(folder / "cell.json", _old_facts if self._old else _facts)
            if self._old:
                return _old_cell(folder, experiment, facts, names)
            stored = facts["records"]
            records = {name: self._table(folder, name, stored[name]) for name in names if name in stored}
        except (OSError, ValueError, KeyError, pl.exceptions.PolarsError) as error:
            raise DataError(f"{folder} is damaged: {error}", fix="Delete it and run the benchmark again.") from error
        return Cell(
            experiment, records, facts["refused"], facts["facts"], facts["chosen"], facts["seconds"], facts["versions"]
        )

    def checksums(self, experiment: Experiment) -> dict[str, str]:
        """The current checksums of a cell's files; empty for an unfinished cell."""
        folder = self._cell(experiment)
        if self._mirror is None:
            return {path.name: self._unchanged.get(path, checksum) for path in sorted(folder.glob("*"))}
        if not self.has(experiment):
            return {}
        tables = json.loads((folder / "cell.json").read_text()).get("records", {})  # names hold checksums there
        named = {f"{name}.parquet": sha256 for name, sha256 in tables.items()}
        return dict(sorted(({"cell.json": checksum(folder / "cell.json")} | named).items()))

    def _table(self, folder: Path, name: str, expected: str) -> pl.DataFrame:
        if self._mirror is not None:
            return pl.read_parquet(self._mirror.table(folder.name, name, expected), glob=False)
        path = folder / f"{name}.parquet"
        if self._unchanged.get(path, checksum) != expected:
            raise ValueError(f"{path.name} was changed after it was written")
        return self._recent.get(expected, lambda: pl.read_parquet(path, glob=False))

    def fail(self, experiment: Experiment, reason: str) -> None:
        """Record why a cell failed."""
        path = self._failure(experiment)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, reason)
        if self._mirror is not None:
            self._mirror.fail(experiment.hash)

    def failure(self, experiment: Experiment) -> str | None:
        """The reason why a cell failed last time; None for finished cells and for cells that never ran."""
        path = self._failure(experiment)
        return path.read_text() if path.is_file() and not self.has(experiment) else None

    @property
    def planned(self) -> bool:
        """Whether the run has a plan; one that was stopped early has none."""
        return bool(self._old) or (self.folder / "plan.json").is_file()

    @property
    def experiments(self) -> list[Experiment]:
        """The plan: all experiments of the run, finished or not. Raises DataError without a plan."""
        if not self.planned:
            raise DataError(f"{self.location} was stopped before its cells were planned",
                            fix="Run the benchmark again.")  # fmt: skip
        return list(self._old.values()) or list(self._unchanged.get(self.folder / "plan.json", _plan))

    @property
    def finished(self) -> list[Experiment]:
        """The planned experiments with a finished cell."""
        self._refresh()
        return [experiment for experiment in self.experiments if self._has_now(experiment)]

    @property
    def missing(self) -> list[Experiment]:
        """The planned experiments without a finished cell."""
        self._refresh()
        return [experiment for experiment in self.experiments if not self._has_now(experiment)]

    def plan(self, experiments: Sequence[Experiment]) -> None:
        """Store the plan. Cells of earlier plans stay in the folder, and later plans reuse them."""
        records = [asdict(experiment) for experiment in experiments]
        write_atomically(self.folder / "plan.json", json.dumps(records, indent=1))
        if self._mirror is not None:
            self._mirror.push()
            self._mirror.refresh()

    def _refresh(self) -> None:
        """Read a bucket's records again, unless all planned cells are finished."""
        if self._mirror is not None and not all(self._has_now(experiment) for experiment in self.experiments):
            self._mirror.refresh()

    def _has_now(self, experiment: Experiment) -> bool:
        return self.has(experiment) if self._mirror is None else self._mirror.knows(self._cell(experiment).name)

    def _cell(self, experiment: Experiment) -> Path:
        names = [name for name, old in self._old.items() if old == experiment]
        cells: str = self.facts.get("cells", "cells")  # the cells of an earlier run lie two folders above it
        return self.folder / cells / (names[0] if names else experiment.hash)

    def _failure(self, experiment: Experiment) -> Path:
        return self.folder / "failed" / f"{experiment.hash}.txt"


def _plan(path: Path) -> list[Experiment]:
    return read_experiments(json.loads(path.read_text()), str(path))


def _facts(path: Path) -> dict[str, Any]:
    """The content of a cell.json. Raises ValueError where its experiment belongs to another folder."""
    facts = _old_facts(path)
    if read_experiments([facts["experiment"]], str(path.parent))[0].hash != path.parent.name:
        raise ValueError("its name is not the hash of its experiment")
    return facts


def _old_facts(path: Path) -> dict[str, Any]:
    """The content of a cell.json of format 1, whose folders have other names."""
    facts: dict[str, Any] = json.loads(path.read_text())
    return facts


def _refuse_other_format(folder: Path) -> None:
    path = folder / "run.json"
    if not path.is_file():
        return
    facts = json.loads(path.read_text())
    if (stored := facts.get("format", 1)) != FORMAT:
        raise DataError(
            f"{folder} holds a run of format {stored} (timbrec {facts.get('version', 'unknown')}), "
            f"which this version (format {FORMAT}) cannot resume; `timbrec report` still reads it",
            fix="Choose another `output`.",
        )


def _old_cell(folder: Path, experiment: Experiment, facts: dict[str, Any], names: Sequence[str]) -> Cell:
    """A cell of format 1: lists without checksums, as deep as the largest k."""
    records = {
        name: pl.read_parquet(folder / f"{name}.parquet", glob=False) for name in names if name not in facts["refused"]
    }
    return Cell(experiment, records, facts["refused"], facts["facts"], facts["chosen"], facts["seconds"])


def _write_facts(path: Path, facts: dict[str, Any]) -> bool:
    """Write the facts of a run, unless the file has them, apart from the time of writing; returns whether it had."""
    text = json.dumps(facts, indent=2, default=str)
    if path.is_file() and json.loads(path.read_text()) | {"created": ""} == json.loads(text) | {"created": ""}:
        return True
    write_atomically(path, text)
    return False
