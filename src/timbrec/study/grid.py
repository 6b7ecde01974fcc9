"""The grid of a run: plans it, and lets an engine run the unfinished cells."""

from __future__ import annotations

from collections.abc import Sequence

from timbrec import catalog
from timbrec.errors import ConfigError, did_you_mean, listing
from timbrec.machine.cluster import kind_of
from timbrec.settings import check_counts
from timbrec.study.config import Config
from timbrec.study.experiment import Experiment
from timbrec.study.inputs import Inputs
from timbrec.study.plan import plan
from timbrec.study.runs import Run
from timbrec.types import Progress


def run_study(
    config: Config,
    inputs: Inputs,
    run: Run,
    progress: Progress | None = None,
    *,
    jobs: int | None = 1,
    only: Sequence[str] = (),
    device: str = "auto",
    engine: str = "local",
) -> int:
    """Run the unfinished experiments of the plan; returns their number.

    `jobs` is the number of cells that may run at once, None as many as cores and memory allow. `only` names
    representations or recommenders; other cells wait for a later call. Cells of one representation run together, so
    that its vectors are read once. `engine` is the name of an engine, or a name and an address such as
    `ray://HOST:10001`. Raises ConfigError for an unknown engine and for jobs below 1.
    """
    check_counts(jobs=jobs)
    kind = catalog.load("engines", kind_of(engine))
    place = {"address": engine} if "://" in engine else {}
    experiments = plan(config, inputs)
    run.plan(experiments)
    chosen = _only(experiments, only)
    missing = list({item.hash: item for item in chosen if not run.has(item)}.values())
    order = list(dict.fromkeys(experiment.encoder for experiment in experiments))
    missing.sort(key=lambda experiment: -1 if experiment.encoder is None else order.index(experiment.encoder))
    finished = len(chosen) - len(missing)

    def report(step: str, done: int, total: int) -> None:
        if progress:
            before = finished if step.startswith("cells") else 0
            progress(step, done + before, total + before)

    kind(jobs=jobs, device=device, **place).run(missing, inputs, run, report)
    return len(missing)


def _only(experiments: list[Experiment], names: Sequence[str]) -> list[Experiment]:
    """The experiments of the named representations or recommenders; all if `names` is empty.

    Raises ConfigError for a name that no experiment has.
    """
    known = {name for experiment in experiments for name in (experiment.encoder, experiment.label) if name}
    if unknown := [name for name in names if name not in known]:
        raise ConfigError(
            f"there is no encoder, representation or recommender {unknown[0]!r} in this run",
            fix=f"{did_you_mean(unknown[0], known)}Known: {listing(sorted(known))}.",
        )
    if not names:
        return experiments
    return [experiment for experiment in experiments if {experiment.encoder, experiment.label} & set(names)]
