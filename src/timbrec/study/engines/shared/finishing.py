"""Runs one cell and stores it, or the reason why it failed."""

from __future__ import annotations

import re
from pathlib import Path

from timbrec.data.split import Split
from timbrec.errors import TimbrecError
from timbrec.protocols import Content, Workspace
from timbrec.study.cell import Cell, run_cell
from timbrec.study.experiment import Experiment
from timbrec.study.runs import Run
from timbrec.training import drop_checkpoints
from timbrec.types import Progress

NO_MEMORY = "not enough memory. Use smaller settings, fewer --jobs, or a machine with more memory."


def finish(experiment: Experiment, run: Run, split: Split, content: Content, workspace: Workspace) -> None:
    """Run a cell and store it; after a TimbrecError or without enough memory, store the reason instead."""
    keep(attempt(experiment, split, content, workspace), experiment, run, workspace)


def attempt(experiment: Experiment, split: Split, content: Content, workspace: Workspace) -> Cell | str:
    """The finished cell, or the reason why it failed: a TimbrecError, or not enough memory."""
    try:
        return run_cell(experiment, split, content, workspace)
    except TimbrecError as error:
        return str(error)
    except MemoryError:
        return NO_MEMORY


def keep(outcome: Cell | str, experiment: Experiment, run: Run, workspace: Workspace) -> None:
    """Store a cell, and then delete its checkpoints; or store the reason why it failed."""
    if isinstance(outcome, str):
        run.fail(experiment, outcome)
        return
    run.write(outcome)
    drop_checkpoints(workspace)


def workspace_of(folder: Path, experiment: Experiment, device: str, progress: Progress | None = None) -> Workspace:
    """The workspace of an experiment: a folder with a readable name below `training/` in the run's `folder`.

    `training/shared` keeps fitted models that several cells use. `progress` is called at every step.
    """
    readable = re.sub(r"[^\w.]+", "-", experiment.title).strip("-.")[:80]

    def report(step: str, done: int, total: int) -> None:
        if progress:
            progress(f"training: {step}", done, total)

    trainings = folder / "training"
    return Workspace(trainings / f"{readable}-{experiment.hash}", trainings / "shared", report, device)
