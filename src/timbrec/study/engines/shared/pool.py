"""A pool of processes that run cells; vectors are mapped from files, not sent to the processes."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from timbrec.machine.devices import cores, limit_threads
from timbrec.protocols import Content
from timbrec.study.engines.shared.finishing import finish, workspace_of
from timbrec.study.experiment import Experiment
from timbrec.study.inputs import Inputs
from timbrec.study.runs import Run

_runs: dict[Path, Run] = {}  # a worker process reads a run and its split once


def run_in_pool(
    experiments: Sequence[Experiment],
    inputs: Inputs,
    run: Run,
    jobs: int,
    device: str,
    ended: Callable[[Experiment], None],
) -> None:
    """Run cells in `jobs` processes at once, each with its share of the cores; `ended` is called after each cell.

    An interrupt, and an error outside any cell, stop the pool; finished cells stay stored.
    """
    threads = max(cores() // jobs, 1)
    context = multiprocessing.get_context("spawn")  # a forked copy of OpenMP's threads may hang
    with _mapped(experiments, inputs) as folder, ProcessPoolExecutor(jobs, context, _start, (threads,)) as pool:
        futures = {
            pool.submit(_run, experiment, run.location, folder, device): experiment for experiment in experiments
        }
        try:
            for future in as_completed(futures):
                future.result()
                ended(futures[future])
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in list((pool._processes or {}).values()):
                process.terminate()
            raise


@contextmanager
def _mapped(experiments: Sequence[Experiment], inputs: Inputs) -> Iterator[Path]:
    """A folder with the vectors of every representation and the artists, as .npy files."""
    with TemporaryDirectory(prefix="timbrec-") as name:
        folder = Path(name)
        used = {item.representation.digest: item.representation for item in experiments if item.representation}
        for digest, representation in used.items():
            np.save(folder / f"{digest}.npy", inputs.vectors(representation))
        if inputs.artist_rows is not None:
            np.save(folder / "artists.npy", inputs.artist_rows)
        yield folder


def _start(threads: int) -> None:
    limit_threads(threads)


def _run(experiment: Experiment, location: Path, folder: Path, device: str) -> None:
    if location not in _runs:
        _runs[location] = Run(location)
    run = _runs[location]
    split = run.split
    artists = folder / "artists.npy"
    if experiment.representation is None:
        vectors = np.zeros((len(split.items), 1), np.float32)
    else:
        vectors = np.load(folder / f"{experiment.representation.digest}.npy", mmap_mode="r")
    content = Content(np.asarray(vectors), np.load(artists) if artists.exists() else None)
    finish(experiment, run, split, content, workspace_of(run.folder, experiment, device))
