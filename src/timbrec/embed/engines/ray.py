"""The Ray engine: Ray Data streams tracks through a pool of workers that keep their encoders loaded."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from timbrec.embed.engines.shared.remote import Chunk, Known, Plan, Recipe, RemoteEncoder, Sheet, known_of, plan_of
from timbrec.embed.engines.shared.worker import Worker
from timbrec.embed.ledger import Ledger
from timbrec.embed.passes import Job, Pass
from timbrec.embed.reading import Reading
from timbrec.embed.schedule import on_gpu, passes_of
from timbrec.embed.target import Target
from timbrec.errors import AudioError, ConfigError, TimbrecError
from timbrec.machine.cluster import connected, nodes, on_every_node, refusing_lost_work, streamed
from timbrec.protocols import Encoder, EncoderCard

if TYPE_CHECKING:
    from types import ModuleType

_THREADS = 4  # cores of a worker on a CPU, where nodes have as many
_CHUNK = 64  # tracks of a call, at most: a lost worker repeats them
_CALLS = 4  # calls of a worker, at least, where there are enough tracks
_RETRIES = 3  # of a call after its worker was lost


@dataclass(frozen=True)
class Ray:
    """Reads and encodes in workers of a Ray cluster, each with a few cores or with a GPU.

    `address` is `ray` for a cluster started for this run, or `ray://HOST:PORT`. A worker reads ahead in its own
    threads, so that no reading waits for cores that workers hold. This process alone writes to stores. Every node must
    see the audio under the same path, and the weights.
    """

    address: str = "ray"

    def load(self, name: str, weights: Path | str | None, device: str, options: Mapping[str, Any]) -> Encoder:
        """The card of the encoder called `name`; a worker loads the encoder once as a test.

        Raises ConfigError for a node without the weights, and for a GPU that the cluster lacks.
        """
        with connected(self.address) as ray:
            device = _device(ray, device)
            recipe = Recipe(name, weights, device, options)
            _refuse(on_every_node(ray, _check_weights, recipe, gpu=device != "cpu"), name)
            card = ray.remote(_card).options(num_gpus=int(device != "cpu")).remote(recipe)
            try:
                return RemoteEncoder(ray.get(card), recipe)
            except ray.exceptions.RayTaskError as error:
                raise (error.cause or error) from None

    def run(self, ledger: Ledger, targets: Sequence[Target], batch: int | None, workers: int | None) -> None:
        """Encode all tracks that the ledger lists as lacking; every finished chunk is stored at once.

        Raises ConfigError for a node that does not see the audio.
        """
        if not ledger.lacking:
            return
        with connected(self.address) as ray:
            pool = _Pool.of(ray, targets, workers)
            first = next((track.path for track in ledger.lacking if track.path.exists()), None)
            if first is not None:
                _refuse(on_every_node(ray, _check_file, first, gpu=pool.gpus > 0), "the audio")
            chunks = _chunks(ledger, targets, pool.size)
            plan = plan_of(targets, batch, pool.threads)
            delivery = _Delivery(ledger, targets, batch)
            with refusing_lost_work(ray):
                for sheet in streamed(ray, _sheets, plan, known_of(targets), chunks, pool):
                    delivery.store(sheet)
            delivery.close()


@dataclass(frozen=True)
class _Pool:
    """The number of workers, and the cores and GPUs of each."""

    size: int
    threads: int
    gpus: int

    @classmethod
    def of(cls, ray: ModuleType, targets: Sequence[Target], workers: int | None) -> _Pool:
        """A worker per GPU if an encoder runs on one, else per few cores; `workers` are the threads of each."""
        gpus = any(on_gpu(target.output.encoder) for target in targets)
        places = [place for place in nodes(ray) if place.get("GPU") or not gpus]
        if gpus:
            threads = min(workers or int(min(place["CPU"] / place["GPU"] for place in places)), 16)
            return cls(int(sum(place["GPU"] for place in places)), max(threads, 1), 1)
        threads = min(workers or _THREADS, int(min(place["CPU"] for place in places)))
        return cls(sum(int(place["CPU"]) // threads for place in places), threads, 0)


class _Delivery:
    """Stores the sheets of workers."""

    def __init__(self, ledger: Ledger, targets: Sequence[Target], batch: int | None) -> None:
        self._ledger, self._targets = ledger, targets
        self._passes = [_Delivered(encoding.targets, encoding.batch) for encoding in passes_of(targets, batch)]
        self._place = {id(target): place for place, target in enumerate(targets)}
        self._times: dict[int, tuple[str, int, float]] = {}

    def store(self, sheet: Sheet) -> None:
        """Store the finished part of a chunk, then raise the chunk's error, if any."""
        for reading in sheet.readings:
            self._ledger.take(self._with_targets(reading), self._passes)
            for encoding in self._passes:
                for job in encoding.delivered(sheet, self._place):
                    self._ledger.keep(job, encoding)
        for target in self._targets:
            target.flush()
        for place, (device, tracks, seconds) in sheet.times.items():
            _, before, spent = self._times.get(place, ("", 0, 0.0))
            self._times[place] = (device, before + tracks, spent + seconds)
        if sheet.error is not None:
            raise sheet.error

    def close(self) -> None:
        """Record how long encoding took."""
        for place, times in self._times.items():
            self._targets[place].timed(*times)

    def _with_targets(self, reading: Reading) -> Reading:
        """The reading with targets instead of places among the requests."""
        places: Any = (reading.known, reading.failed)
        reading.known = [(self._targets[place], audio) for place, audio in places[0]]
        digest = reading.file[2] if reading.file else ""
        reading.failed = [(self._targets[place], self._targets[place].failed_files[digest]) for place, _ in places[1]]
        return reading


class _Delivered(Pass):
    """A pass over tracks with vectors that have already been computed."""

    def delivered(self, sheet: Sheet, place: Mapping[int, int]) -> Iterator[Job]:
        """Store the vectors of all waiting jobs, or note their errors; yields the jobs."""
        jobs, self._jobs = self._jobs, {}
        for audio, job in jobs.items():
            keys = [(place[id(target)], audio) for target in job.targets]
            error = next((sheet.errors[key] for key in keys if key in sheet.errors), None)
            if error is None and any(key not in sheet.vectors for key in keys):
                error = AudioError("its audio was known when the run started and is not now", passing=True)
            job.error = error
            if error is None:
                self.store(job, {t.kind: sheet.vectors[key] for t, key in zip(job.targets, keys, strict=True)})
            yield job


class _Calls:
    """A worker in the form that Ray Data calls: a row in, a row out."""

    def __init__(self, plan: Plan, known: list[Any]) -> None:
        import ray

        self._worker = Worker(plan, ray.get(known[0]))

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        return {"sheet": self._worker(row["item"])}


def _sheets(plan: Plan, known: Sequence[Known], chunks: Sequence[Chunk], pool: _Pool) -> Iterator[Sheet]:
    """Stream the chunks through the workers; sheets come in the order in which they are done."""
    import ray
    import ray.data

    logging.getLogger("ray.data").setLevel(logging.ERROR)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = context.print_on_execution_start = False
    size = min(pool.size, len(chunks))
    rows = ray.data.from_items(list(chunks), override_num_blocks=len(chunks)).map(
        _Calls,  # type: ignore[arg-type] # a class, of which Ray keeps an object per worker
        fn_constructor_args=(plan, [ray.put(list(known))]),
        compute=ray.data.ActorPoolStrategy(min_size=1, max_size=size, initial_size=size),
        num_cpus=pool.threads,
        num_gpus=pool.gpus or None,
        ray_remote_args_fn=_retries,
    )
    for row in rows.iter_rows():
        yield row["sheet"]


def _retries() -> dict[str, Any]:
    """A lost worker is started again; a call that has lost several ends the run."""
    return {"max_restarts": -1, "max_task_retries": _RETRIES}


def _chunks(ledger: Ledger, targets: Sequence[Target], workers: int) -> list[Chunk]:
    place = {id(target): place for place, target in enumerate(targets)}
    tracks = [(track, [place[id(target)] for target in lacking]) for track, lacking in ledger.lacking.items()]
    size = min(max(len(tracks) // (workers * _CALLS), 1), _CHUNK)
    return [Chunk(tracks[start : start + size]) for start in range(0, len(tracks), size)]


def _device(ray: ModuleType, device: str) -> str:
    """The kind of device of workers. Raises ConfigError for a GPU that the cluster lacks."""
    gpus = any(place.get("GPU") for place in nodes(ray))
    if device == "auto":
        return "cuda" if gpus else "cpu"
    if device != "cpu" and not gpus:
        raise ConfigError("no node of the cluster has a GPU", example=device, fix='Choose "cpu" or "auto".')
    return device.split(":")[0]


def _refuse(results: Mapping[str, Any], what: str) -> None:
    """Raise ConfigError if the check of a node failed."""
    bad = {node: result for node, result in results.items() if isinstance(result, Exception)}
    if bad:
        node, error = next(iter(bad.items()))
        words = str(error) if isinstance(error, TimbrecError) else repr(error)
        raise ConfigError(f"{what}: a worker on {node} cannot go on: {words}", count=len(bad))


def _check_weights(recipe: Recipe) -> None:
    from timbrec.encoders import check_weights

    check_weights(recipe.name, recipe.weights)


def _check_file(path: Path) -> None:
    if not path.exists():
        raise ConfigError(f"it does not see {path}", fix="Put the audio on a disk that every node mounts at that path.")


def _card(recipe: Recipe) -> EncoderCard:
    return recipe.load().card
