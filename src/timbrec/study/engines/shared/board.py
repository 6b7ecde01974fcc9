"""Reports the running cell, the number of finished cells and the expected time left."""

from __future__ import annotations

from collections.abc import Sequence

from timbrec.study.estimate import Estimate, in_words
from timbrec.study.experiment import Experiment
from timbrec.study.runs import Run
from timbrec.types import Progress


class Board:
    """The progress of a grid with `jobs` cells at once."""

    def __init__(self, experiments: Sequence[Experiment], run: Run, progress: Progress | None, jobs: int) -> None:
        self.run, self.progress, self.jobs = run, progress, max(jobs, 1)
        self.titles = {experiment.hash: experiment for experiment in experiments}
        self.waiting = dict.fromkeys(self.titles)
        self.total, self.estimate = len(experiments), Estimate()

    def say(self, words: str) -> None:
        """Report a sentence about the grid as a whole."""
        if self.progress:
            self.progress(f"cells: {words}", self.total - len(self.waiting), self.total)

    def show(self, experiment: Experiment) -> None:
        """Report that a cell starts."""
        left = self.estimate.left((self.titles[name] for name in self.waiting), self.jobs)
        self.say(experiment.title + ("" if left is None else f", about {in_words(left)} left"))

    def end(self, experiment: Experiment) -> None:
        """Count a cell that has ended; with several at once, report the next one."""
        self.waiting.pop(experiment.hash, None)
        if self.run.has(experiment):
            self.estimate.add(experiment, self.run.read(experiment, []).seconds)
        if self.jobs > 1 and self.waiting:
            self.show(self.titles[next(iter(self.waiting))])

    def close(self) -> None:
        """Report the end of the grid."""
        if self.progress:
            self.progress("cells", self.total, self.total)
