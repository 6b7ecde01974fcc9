"""The plan of a run: its experiments, for every kind of cell in the config."""

from __future__ import annotations

from timbrec import catalog
from timbrec.study.config import Config
from timbrec.study.experiment import Experiment
from timbrec.study.inputs import Inputs


def plan(config: Config, inputs: Inputs) -> list[Experiment]:
    """The experiments of a run in running order; each kind of cell plans its own."""
    return [
        experiment
        for kind in config.cells
        for experiment in catalog.load("cells", kind.use)(**kind.settings).plan(config, inputs)
    ]
