"""The plan of a run: its experiments, of every kind the config asks for."""

from __future__ import annotations

from timbrec import catalog
from timbrec.study.config import Config
from timbrec.study.experiment import Experiment
from timbrec.study.inputs import Inputs


def plan(config: Config, inputs: Inputs) -> list[Experiment]:
    """The experiments of a run in the order in which they run; each kind of cell plans its own."""
    return [
        experiment
        for kind in config.cells
        for experiment in catalog.load("cells", kind.use)(**kind.settings).plan(config, inputs)
    ]
