"""Memory of cells, estimated before any of them runs, and the number of cells that fit at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from timbrec.data.interactions import Interactions
from timbrec.data.split import Split
from timbrec.errors import ConfigError
from timbrec.machine.devices import cores, free_memory
from timbrec.ranking.rank import MEMORY
from timbrec.recommenders import recommender

if TYPE_CHECKING:
    from timbrec.study.experiment import Experiment
    from timbrec.study.inputs import Inputs

PROCESS = 400 * 2**20  # bytes of a process that has imported torch and polars
_COPIES = (
    3  # of the log and of the vectors, at the peak: as given, as the recommender scales or sorts them, and a spare
)
_GIB = 2**30


def memory_of(experiment: Experiment, inputs: Inputs) -> int:
    """Upper bound of the bytes of a process that runs the cell: itself, log, vectors, a block of scores, and the
    fit."""
    train = inputs.split.test.train
    dim = 1
    if experiment.representation is not None:
        dim = sum(inputs.sources[source.encoder].dim for source in experiment.representation.sources)
    part = recommender(experiment.recommender, experiment.settings)
    fit = part.memory(train.n_users, train.n_items, dim)
    given = split_bytes(inputs.split) + 4 * train.n_items * dim
    return PROCESS + _COPIES * given + MEMORY + fit


def split_bytes(split: Split) -> int:
    """Bytes of the pairs of a split."""
    parts = [pairs for fold in (split.validation, split.test) for pairs in (fold.train, fold.hot, fold.cold)]
    return sum(map(_bytes, {id(pairs): pairs for pairs in parts}.values()))


def jobs_that_fit(jobs: int | None, needs: Sequence[int]) -> int:
    """Number of cells to run at once, at most one per cell: `jobs`, or by default as many as cores and memory allow.

    `needs` are the bytes that each cell takes. Raises ConfigError for several jobs that do not fit into the free memory
    together.
    """
    if jobs == 1:
        return 1
    free, sizes = free_memory(), sorted(needs, reverse=True)
    fitting = max([count for count in range(1, len(sizes) + 1) if sum(sizes[:count]) <= free], default=1)
    if jobs is None:
        return min(cores(), fitting)
    jobs = min(jobs, max(len(sizes), 1))
    if jobs > fitting:
        raise ConfigError(
            f"{jobs} jobs may take {sum(sizes[:jobs]) / _GIB:.1f} GiB of memory at once, and {free / _GIB:.1f} GiB "
            "are free",
            fix=f"Use --jobs {fitting}.",
        )
    return jobs


def in_gib(size: int) -> str:
    """A number of bytes for readers, e.g. "1.4 GiB"."""
    return f"{size / _GIB:.1f} GiB"


def _bytes(pairs: Interactions) -> int:
    first = 0 if pairs.first is None else pairs.first.nbytes
    return int(pairs.user.nbytes + pairs.item.nbytes + pairs.plays.nbytes + first)
