"""Estimates of the time a grid still takes, from its finished cells."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from timbrec.study.experiment import Experiment


@dataclass
class Estimate:
    """Seconds per cell by recommender. A recommender without a finished cell counts with the mean over the others."""

    seconds: dict[str, list[float]] = field(default_factory=dict)

    def add(self, experiment: Experiment, seconds: float) -> None:
        """Count a finished cell."""
        self.seconds.setdefault(experiment.label, []).append(seconds)

    def left(self, experiments: Iterable[Experiment], jobs: int = 1) -> float | None:
        """Expected seconds for these cells, `jobs` at once; None before any cell is finished."""
        if not self.seconds:
            return None
        means = {label: float(np.mean(values)) for label, values in self.seconds.items()}
        unknown = float(np.mean(list(means.values())))
        return sum(means.get(experiment.label, unknown) for experiment in experiments) / jobs


def in_words(seconds: float) -> str:
    """A duration for readers, e.g. "40 s", "12 min", "3.5 h"."""
    if seconds < 60:
        return f"{max(round(seconds), 1)} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
