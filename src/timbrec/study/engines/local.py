"""The local engine: cells one after the other in this process."""

from __future__ import annotations

import re
import traceback
from collections.abc import Sequence

import numpy as np

from timbrec.errors import TimbrecError
from timbrec.protocols import Content, Workspace
from timbrec.study.cell import run_cell
from timbrec.study.experiment import Experiment
from timbrec.study.inputs import Inputs
from timbrec.study.runs import Run
from timbrec.training import drop_checkpoints
from timbrec.types import Array, Float32, Progress


class Local:
    """Runs cells in the order of the plan, so that the vectors of a representation are read once."""

    def run(
        self, experiments: Sequence[Experiment], inputs: Inputs, run: Run, progress: Progress | None = None
    ) -> None:
        """Run these experiments and store their cells. A cell that fails is remembered with its reason."""
        held = _Vectors(inputs)
        for done, experiment in enumerate(experiments):
            if progress:
                progress(f"cells: {experiment.title}", done, len(experiments))
            workspace = workspace_of(run, experiment, progress)
            try:
                content = Content(held.of(experiment), inputs.artist_rows)
                run.write(run_cell(experiment, inputs.split, content, workspace))
            except (TimbrecError, MemoryError) as error:
                run.fail(experiment, reason_of(error))
            else:
                drop_checkpoints(workspace)
        if progress:
            progress("cells", len(experiments), len(experiments))


class _Vectors:
    """The vectors of the representation that was used last."""

    def __init__(self, inputs: Inputs) -> None:
        self.inputs = inputs
        self.digest = ""
        self.vectors: Float32[Array, "items dim"] = np.zeros((len(inputs.catalogue), 1), np.float32)

    def of(self, experiment: Experiment) -> Float32[Array, "items dim"]:
        """(items, dim) vectors of the catalogue; any vectors for a recommender without content."""
        if (representation := experiment.representation) is not None and representation.digest != self.digest:
            self.vectors = self.inputs.vectors(representation)
            self.digest = representation.digest
        return self.vectors


def reason_of(error: BaseException) -> str:
    """Why a cell failed, in a sentence; with the traceback behind it for errors that no user caused."""
    if isinstance(error, TimbrecError):
        return str(error)
    if isinstance(error, MemoryError):
        return "not enough memory. Give the recommender smaller settings, or run on a machine with more."
    return f"{type(error).__name__}: {error}\n{''.join(traceback.format_exception(error))}"


def workspace_of(run: Run, experiment: Experiment, progress: Progress | None = None) -> Workspace:
    """The workspace of an experiment's fits: a folder with a readable name below `training/` in the run's folder.

    Fitted models that several cells have in common are kept in `training/shared`. `progress` is called at every step.
    """
    readable = re.sub(r"[^\w.]+", "-", experiment.title).strip("-.")[:80]

    def report(step: str, done: int, total: int) -> None:
        if progress:
            progress(f"training: {step}", done, total)

    folder = run.folder / "training"
    return Workspace(folder / f"{readable}-{experiment.hash}", folder / "shared", report)
