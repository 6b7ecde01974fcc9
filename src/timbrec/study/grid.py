"""The grid of a run: plan it, and let an engine run the cells that are not finished."""

from __future__ import annotations

from timbrec import catalog
from timbrec.study.config import Config
from timbrec.study.experiment import Experiment
from timbrec.study.inputs import Inputs
from timbrec.study.plan import plan
from timbrec.study.runs import Run
from timbrec.types import Progress


def run_study(config: Config, inputs: Inputs, run: Run, progress: Progress | None = None) -> int:
    """Run every experiment of the plan that is not finished; returns how many that were.

    Cells of one representation run together, so that its vectors are read once.
    """
    experiments = plan(config, inputs)
    run.plan(experiments)
    missing = list({item.hash: item for item in experiments if not run.has(item)}.values())
    missing.sort(key=lambda experiment: _place(experiment, inputs))
    finished = len(experiments) - len(missing)

    def report(step: str, done: int, total: int) -> None:
        if progress:
            of_cells = step.startswith("cells")
            progress(step, done + finished * of_cells, total + finished * of_cells)

    catalog.load("engines", "local")().run(missing, inputs, run, report)
    return len(missing)


def _place(experiment: Experiment, inputs: Inputs) -> int:
    names = [representation.name for representation in inputs.representations]
    return -1 if experiment.encoder is None else names.index(experiment.encoder)
