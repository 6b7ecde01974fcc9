"""The Ray engine: every cell is a task of a cluster, which retries the tasks of a lost worker or node."""

from __future__ import annotations

import tempfile
import warnings
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from timbrec.errors import ConfigError, DataError
from timbrec.machine.cluster import connected, nodes, refusing_lost_work
from timbrec.machine.devices import use_threads
from timbrec.protocols import Content, Workspace
from timbrec.study.cell import Cell
from timbrec.study.engines.shared.board import Board
from timbrec.study.engines.shared.finishing import attempt, keep, workspace_of
from timbrec.study.engines.shared.order import cheap_first, is_trained
from timbrec.study.experiment import Experiment
from timbrec.study.inputs import Inputs
from timbrec.study.needs import in_gib, memory_of
from timbrec.study.runs import Run
from timbrec.types import Array, Float32, Progress

if TYPE_CHECKING:
    from types import ModuleType

_RETRIES = 3  # of a task whose worker or node is lost
_PATIENCE = 30.0  # seconds without a finished cell, after which the nodes are looked at again


@dataclass(frozen=True)
class Ray:
    """Runs cells as tasks of a Ray cluster, each with its needs of cores, GPUs and memory declared.

    `address` is `ray` for a cluster started for this run, or `ray://HOST:PORT`. `jobs` bounds the cells that run at
    once and divides the cores of the cluster among them; None gives a core to each cell.

    Workers send finished cells back, and this process stores them, so that nodes need no shared disk. Where a worker
    sees the run's folder, it also keeps training logs, checkpoints and shared models there.
    """

    jobs: int | None = None
    device: str = "auto"
    address: str = "ray"

    def run(
        self, experiments: Sequence[Experiment], inputs: Inputs, run: Run, progress: Progress | None = None
    ) -> None:
        """Run the experiments and store their cells. For a cell that fails, the reason is stored instead.

        Raises ConfigError for an address where no Ray answers, workers with other versions, a GPU that the cluster
        lacks, a cell that fits on no node, and a full object store.
        """
        cheap, trained = cheap_first(experiments)
        ordered = [*cheap, *trained]
        if not ordered:
            return
        with connected(self.address) as ray:
            needs = _Needs(ray, self.jobs, self.device, {item.hash: memory_of(item, inputs) for item in ordered})
            board = Board(ordered, run, progress, needs.at_once)
            board.say(f"{needs.at_once} at once, of which each takes at most {in_gib(needs.largest)} of memory")
            with refusing_lost_work(ray):
                _Tasks(ray, inputs, run, needs, board, self.device).run(ordered)
            board.close()


class _Needs:
    """What every cell needs of a node, and how many run at once. Raises ConfigError for a cell that fits on no node."""

    def __init__(self, ray: ModuleType, jobs: int | None, device: str, memory: dict[str, int]) -> None:
        places = nodes(ray)
        total = int(sum(place["CPU"] for place in places))
        roomiest = max(place["memory"] for place in places)
        self.gpus = sum(place.get("GPU", 0.0) for place in places)
        self.threads = min(max(total // (jobs or total), 1), int(max(place["CPU"] for place in places)))
        self.at_once = min(jobs or total, max(total // self.threads, 1), len(memory))
        self.memory, self.largest = memory, max(memory.values())
        if self.largest > roomiest:
            raise ConfigError(
                f"a cell may take {in_gib(self.largest)} of memory, and no node of the cluster offers more than "
                f"{in_gib(int(roomiest))}",
                fix="Add a larger node, or use smaller settings.",
            )
        if device.startswith("cuda") and not self.gpus:
            raise ConfigError("no node of the cluster has a GPU", example=device, fix='Choose "cpu" or "auto".')
        self.device = device

    def check(self, ray: ModuleType, running: Sequence[Experiment]) -> None:
        """Raise ConfigError if no living node could run any of these cells: Ray would wait for such a node for ever."""
        least = min(self.memory[experiment.hash] for experiment in running)
        if not any(place["CPU"] >= self.threads and place["memory"] >= least for place in nodes(ray)):
            raise ConfigError(
                f"the cluster lost its nodes: none is left with {self.threads} cores and {in_gib(least)} of memory; "
                "finished cells are stored",
                fix="Start a node again, then run the same command: it goes on where it stopped.",
            )

    def of(self, experiment: Experiment) -> dict[str, Any]:
        """The options of a task."""
        gpu = bool(self.gpus) and self.device != "cpu" and is_trained(experiment)
        return {
            "num_cpus": self.threads,
            "num_gpus": int(gpu),
            "memory": self.memory[experiment.hash],
            "max_retries": _RETRIES,
            "name": experiment.title,
        }


@dataclass
class _Tasks:
    """The tasks of a grid: few are submitted at a time, so that the object store holds few matrices of vectors."""

    ray: ModuleType
    inputs: Inputs
    run_: Run
    needs: _Needs
    board: Board
    device: str
    running: dict[Any, Experiment] = field(default_factory=dict)
    vectors: dict[str, Any] = field(default_factory=dict)  # references by digest of a representation

    def run(self, experiments: Sequence[Experiment]) -> None:
        """Run all cells. An interrupt, and an error outside any cell, cancel the tasks; finished cells stay stored."""
        waiting, split = deque(experiments), self.ray.put(self.inputs.split)
        artists = self.ray.put(self.inputs.artist_rows)
        task = self.ray.remote(_run)
        try:
            while waiting or self.running:
                while waiting and len(self.running) < self.needs.at_once:
                    experiment = waiting.popleft()
                    self.board.show(experiment)
                    submit = task.options(**self.needs.of(experiment)).remote
                    given = (experiment, [split], self._vectors(experiment), artists)
                    self.running[submit(*given, self.run_.folder, self.device, self.needs.threads)] = experiment
                done, _ = self.ray.wait(list(self.running), num_returns=1, timeout=_PATIENCE)
                for reference in done:
                    self._store(self.running.pop(reference), reference)
                if not done:
                    self.needs.check(self.ray, list(self.running.values()))
        finally:
            for reference in self.running:
                self.ray.cancel(reference, force=True)

    def _vectors(self, experiment: Experiment) -> Any:
        """A reference to the vectors of a cell. Those of representations without a running cell are let go."""
        if (representation := experiment.representation) is None:
            return None
        if representation.digest not in self.vectors:
            used = {item.representation.digest for item in self.running.values() if item.representation}
            self.vectors = {digest: kept for digest, kept in self.vectors.items() if digest in used}
            self.vectors[representation.digest] = self.ray.put(self.inputs.vectors(representation))
        return self.vectors[representation.digest]

    def _store(self, experiment: Experiment, reference: Any) -> None:
        keep(self._outcome(reference), experiment, self.run_, workspace_of(self.run_.folder, experiment, self.device))
        self.board.end(experiment)

    def _outcome(self, reference: Any) -> Cell | str:
        lost = self.ray.exceptions
        try:
            outcome: Cell | str = self.ray.get(reference)
        except self.ray.exceptions.RayTaskError as error:
            raise (error.cause or error) from None
        except (lost.WorkerCrashedError, lost.NodeDiedError, lost.OutOfMemoryError) as error:
            words = str(error).splitlines()[0][:200]
            return f"its worker was lost {_RETRIES + 1} times ({type(error).__name__}: {words})"
        return outcome


def _run(
    experiment: Experiment,
    split: list[Any],
    vectors: Float32[Array, "items dim"] | None,
    artists: Any,
    folder: Path,
    device: str,
    threads: int,
) -> Cell | str:
    """Run a cell in a worker; returns it, or the reason why it failed."""
    import ray

    use_threads(threads)
    warnings.filterwarnings("ignore", "The given NumPy array is not writable")  # the object store's arrays are not
    whole = ray.get(split[0])
    if vectors is None:
        vectors = np.zeros((len(whole.items), 1), np.float32)
    return attempt(experiment, whole, Content(vectors, artists), _workspace(folder, experiment, device))


def _workspace(folder: Path, experiment: Experiment, device: str) -> Workspace:
    """A workspace in the run's folder, or in a folder of this process where the worker does not see the run."""
    try:
        Run(folder)
    except DataError:
        return workspace_of(_own_folder(), experiment, device)
    return workspace_of(folder, experiment, device)


@cache
def _own_folder() -> Path:
    folder = tempfile.TemporaryDirectory(prefix="timbrec-")
    _folders.append(folder)
    return Path(folder.name)


_folders: list[tempfile.TemporaryDirectory[str]] = []  # deleted when the worker ends
