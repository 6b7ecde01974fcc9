"""Runs one cell and stores it, or the reason why it failed."""

from __future__ import annotations

import re

from timbrec.data.split import Split
from timbrec.errors import TimbrecError
from timbrec.protocols import Content, Workspace
from timbrec.study.cell import run_cell
from timbrec.study.experiment import Experiment
from timbrec.study.runs import Run
from timbrec.training import drop_checkpoints
from timbrec.types import Progress


def finish(experiment: Experiment, run: Run, split: Split, content: Content, workspace: Workspace) -> None:
    """Run a cell and store it; after a TimbrecError or without enough memory, store the reason instead."""
    try:
        run.write(run_cell(experiment, split, content, workspace))
    except TimbrecError as error:
        run.fail(experiment, str(error))
    except MemoryError:
        run.fail(experiment, "not enough memory. Use smaller settings, fewer --jobs, or a machine with more memory.")
    else:
        drop_checkpoints(workspace)


def workspace_of(run: Run, experiment: Experiment, device: str, progress: Progress | None = None) -> Workspace:
    """The workspace of an experiment: a folder with a readable name below `training/` in the run's folder.

    `training/shared` keeps fitted models that several cells use. `progress` is called at every step.
    """
    readable = re.sub(r"[^\w.]+", "-", experiment.title).strip("-.")[:80]

    def report(step: str, done: int, total: int) -> None:
        if progress:
            progress(f"training: {step}", done, total)

    folder = run.folder / "training"
    return Workspace(folder / f"{readable}-{experiment.hash}", folder / "shared", report, device)
