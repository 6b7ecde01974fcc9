"""The local engine: cells in this process, trained ones in several processes at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from timbrec import catalog
from timbrec.protocols import Content
from timbrec.study.engines.shared.finishing import finish, workspace_of
from timbrec.study.engines.shared.pool import run_in_pool
from timbrec.study.estimate import Estimate, in_words
from timbrec.study.experiment import Experiment
from timbrec.study.inputs import Inputs
from timbrec.study.runs import Run
from timbrec.types import Array, Float32, Progress


@dataclass(frozen=True)
class Local:
    """Runs cells of untrained recommenders one after the other, then cells of trained ones, `jobs` at once."""

    jobs: int = 1
    device: str = "auto"

    def run(
        self, experiments: Sequence[Experiment], inputs: Inputs, run: Run, progress: Progress | None = None
    ) -> None:
        """Run the experiments and store their cells. For a cell that fails, the reason is stored instead."""
        trained = [experiment for experiment in experiments if _is_trained(experiment)]
        cheap = [experiment for experiment in experiments if not _is_trained(experiment)]
        jobs = min(self.jobs, len(trained))
        board = _Board([*cheap, *trained], run, progress, jobs)
        vectors = _Vectors(inputs)
        for experiment in [*cheap, *([] if jobs > 1 else trained)]:
            board.show(experiment)
            content = Content(vectors.of(experiment), inputs.artist_rows)
            finish(experiment, run, inputs.split, content, workspace_of(run, experiment, self.device, progress))
            board.end(experiment)
        if jobs > 1:
            board.show(trained[0])
            run_in_pool(trained, inputs, run, jobs, self.device, board.end)
        if progress:
            progress("cells", len(experiments), len(experiments))


def _is_trained(experiment: Experiment) -> bool:
    name = experiment.recommender
    return name in catalog.names("recommenders") and bool(catalog.load("recommenders", name).validates)


class _Board:
    """Reports the running cell, the number of finished cells and the expected time left."""

    def __init__(self, experiments: Sequence[Experiment], run: Run, progress: Progress | None, jobs: int) -> None:
        self.run, self.progress, self.jobs = run, progress, max(jobs, 1)
        self.titles = _by_hash(experiments)
        self.waiting = dict.fromkeys(self.titles)
        self.total, self.estimate = len(experiments), Estimate()

    def show(self, experiment: Experiment) -> None:
        """A cell starts."""
        if self.progress:
            left = self.estimate.left((self.titles[name] for name in self.waiting), self.jobs)
            after = "" if left is None else f", about {in_words(left)} left"
            self.progress(f"cells: {experiment.title}{after}", self.total - len(self.waiting), self.total)

    def end(self, experiment: Experiment) -> None:
        """A cell has ended."""
        self.waiting.pop(experiment.hash, None)
        if self.run.has(experiment):
            self.estimate.add(experiment, self.run.read(experiment, []).seconds)
        if self.jobs > 1 and self.progress and self.waiting:
            self.show(self.titles[next(iter(self.waiting))])


def _by_hash(experiments: Sequence[Experiment]) -> dict[str, Experiment]:
    """The experiments by hash."""
    return {experiment.hash: experiment for experiment in experiments}


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
