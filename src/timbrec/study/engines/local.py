"""The local engine: cells in this process, trained ones in several processes at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from timbrec.protocols import Content
from timbrec.study.engines.shared.board import Board
from timbrec.study.engines.shared.finishing import finish, workspace_of
from timbrec.study.engines.shared.order import cheap_first
from timbrec.study.engines.shared.pool import run_in_pool
from timbrec.study.experiment import Experiment
from timbrec.study.inputs import Inputs
from timbrec.study.needs import in_gib, jobs_that_fit, memory_of
from timbrec.study.runs import Run
from timbrec.types import Array, Float32, Progress


@dataclass(frozen=True)
class Local:
    """Runs cells of untrained recommenders one after the other, then cells of trained ones, `jobs` at once.

    None for `jobs` runs as many as cores and memory allow.
    """

    jobs: int | None = 1
    device: str = "auto"

    def run(
        self, experiments: Sequence[Experiment], inputs: Inputs, run: Run, progress: Progress | None = None
    ) -> None:
        """Run the experiments and store their cells. For a cell that fails, the reason is stored instead.

        Raises ConfigError for several jobs that need more memory than is free.
        """
        cheap, trained = cheap_first(experiments)
        needs = [] if self.jobs == 1 else [memory_of(experiment, inputs) for experiment in trained]
        jobs = jobs_that_fit(self.jobs, needs)
        board = Board([*cheap, *trained], run, progress, jobs)
        if jobs > 1:
            size = in_gib(sum(sorted(needs)[-jobs:]))
            board.say(f"{jobs} trainings at once, which take at most {size} of memory together")
        vectors = _Vectors(inputs)
        for experiment in [*cheap, *([] if jobs > 1 else trained)]:
            board.show(experiment)
            content = Content(vectors.of(experiment), inputs.artist_rows)
            finish(experiment, run, inputs.split, content, workspace_of(run.folder, experiment, self.device, progress))
            board.end(experiment)
        if jobs > 1:
            board.show(trained[0])
            run_in_pool(trained, inputs, run, jobs, self.device, board.end)
        board.close()


class _Vectors:
    """A cache for the vectors of one representation, the last used."""

    def __init__(self, inputs: Inputs) -> None:
        self.inputs, self.digest = inputs, ""
        self.vectors: Float32[Array, "items dim"] = np.zeros((len(inputs.catalogue), 1), np.float32)

    def of(self, experiment: Experiment) -> Float32[Array, "items dim"]:
        """(items, dim) vectors of the catalogue; arbitrary ones for a recommender without content."""
        if (representation := experiment.representation) is not None and representation.digest != self.digest:
            self.vectors = self.inputs.vectors(representation)
            self.digest = representation.digest
        return self.vectors
