"""The run of a comparison; several runs are refused with the reason."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from timbrec.errors import ConfigError
from timbrec.study.runs import Run


def single_run(folders: Sequence[Path]) -> Run:
    """The only run given. Raises ConfigError for several, because figures of different runs are not paired."""
    runs = [Run(folder) for folder in folders]
    if len(runs) == 1:
        return runs[0]
    differing = list(_differences(runs))
    why = f"they differ in {' and '.join(differing)}" if differing else "their lists were not made in one grid"
    raise ConfigError(
        f"{len(runs)} runs cannot be compared with each other: {why}",
        fix="Put the encoders into one config and run it; finished cells are not run again.",
    )


def _differences(runs: Sequence[Run]) -> list[str]:
    """Names of the properties in which runs differ: log or split, metric, version of this package."""
    sides = {
        "the log or the split": [run.split.digest for run in runs],
        "the metric": [run.facts.get("config", {}).get("primary") for run in runs],
        "the version of timbrec": [run.facts.get("version") for run in runs],
    }
    return [name for name, values in sides.items() if len(set(values)) > 1]
