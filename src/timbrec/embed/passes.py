"""Pass of an encoder over the windows of many tracks: batches of windows of equal length, and vectors of tracks."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from timbrec.audio import Clip
from timbrec.embed.encode import Kind, Parts, encode_windows, track_vector
from timbrec.embed.later import ready
from timbrec.embed.reading import Reading
from timbrec.embed.target import Target, entry
from timbrec.errors import AudioError
from timbrec.machine.devices import ran_out
from timbrec.protocols import DeviceEncoder, Encoder
from timbrec.types import Array, Float

_LOG = logging.getLogger(__name__)
_CPU_SECONDS, _GPU_SECONDS = 60.0, 480.0  # of audio in a batch: small ones suit a CPU's cache, large ones a GPU
_HELD = 4  # batches of windows that may wait for others of equal length; then a smaller batch is encoded


@dataclass(eq=False)
class Job:
    """The audio of a track on its way through an encoder; `readings` are all tracks with this audio."""

    readings: list[Reading]
    clip: Clip
    targets: list[Target]
    left: int
    parts: dict[Kind, dict[int, Float[Array, "d"]]] = field(default_factory=dict)
    error: AudioError | None = None


class Window(NamedTuple):
    """A window of a job."""

    job: Job
    row: int


class Pass:
    """Encoder with batches of windows for all targets of the same encoder and the same cut."""

    def __init__(self, targets: list[Target], batch: int | None) -> None:
        self.targets = targets
        self.encoder: Encoder = ready(targets[0].output.encoder)
        self.cut = targets[0].output.cut
        seconds = _CPU_SECONDS if self.device == "cpu" else _GPU_SECONDS
        self.batch = batch or max(1, int(seconds / self.cut.seconds))
        self._waiting: dict[int, list[Window]] = {}
        self._jobs: dict[str, Job] = {}
        self.encoded, self._times = 0, list[float]()  # finished tracks; seconds of each call, from several threads

    @property
    def seconds(self) -> float:
        """The time spent in the encoder, by all threads together."""
        return sum(self._times, 0.0)

    @property
    def device(self) -> str:
        """The kind of device that encodes."""
        return str(self.encoder.device).split(":")[0] if isinstance(self.encoder, DeviceEncoder) else "cpu"

    def take(self, reading: Reading, clip: Clip, targets: list[Target]) -> bool:
        """Add a track for some of the targets. False if the stores of all of them know its audio."""
        for target in targets:
            if target.has(clip.audio):
                target.add(entry(reading.track, reading.file or (0, 0, ""), clip.audio))
        lacking = [target for target in targets if not target.has(clip.audio)]
        if not lacking:
            return False
        if clip.audio in self._jobs:
            self._jobs[clip.audio].readings.append(reading)
            return True
        job = self._jobs[clip.audio] = Job([reading], clip, lacking, len(clip.windows))
        windows = self._waiting.setdefault(clip.windows.shape[1], [])
        windows += [Window(job, row) for row in range(job.left)]
        return True

    def batch_of_windows(self, rest: bool) -> list[Window]:
        """Next batch of windows of one length. It may be smaller if too many windows wait, or at the end (`rest`)."""
        size = self._next(rest)
        if size is None:
            return []
        windows = self._waiting.pop(size)
        if len(windows) > self.batch:
            self._waiting[size] = windows[self.batch :]
        return windows[: self.batch]

    def encode(self, windows: list[Window]) -> Parts | AudioError:
        """Statistics of each window. If memory runs out, tries halves of the batch, down to single windows."""
        kinds = list({target.kind: None for window in windows for target in window.job.targets})
        started = time.perf_counter()
        try:
            return encode_windows(self.encoder, np.stack([job.clip.windows[row] for job, row in windows]), kinds)
        except AudioError as error:
            return error
        except (MemoryError, RuntimeError) as error:
            if not _release_memory(error):
                raise
        finally:
            self._times.append(time.perf_counter() - started)
        if len(windows) == 1:  # after the `except` block: its exception keeps the encoder's tensors alive
            return AudioError("there is not enough memory to encode one window of it", passing=True)
        half = len(windows) // 2
        if half < self.batch:
            _LOG.warning("%s: out of memory; going on with batches of %d windows", self.encoder.card.name, half)
            self.batch = half
        return _joined(self.encode(windows[:half]), self.encode(windows[half:]))

    def finish(self, windows: list[Window], parts: Parts | AudioError) -> Iterator[Job]:
        """Store the results of a batch in their jobs; yield complete jobs, their vectors in the targets."""
        for place, (job, row) in enumerate(windows):
            job.left -= 1
            if isinstance(parts, AudioError):
                job.error = parts
            else:
                for kind, values in parts.items():
                    job.parts.setdefault(kind, {})[row] = values[place]
            if not job.left:
                self._complete(job)
                del self._jobs[job.clip.audio]
                yield job

    def _complete(self, job: Job) -> None:
        try:
            vectors = {} if job.error else {target.kind: self._vector(job, target) for target in job.targets}
        except AudioError as error:
            job.error = error
        if job.error is None:
            self.store(job, vectors)

    def store(self, job: Job, vectors: dict[Kind, Float[Array, "d"]]) -> None:
        """Add the vectors of a job, by layer and pool, to its targets, for all tracks of its audio."""
        self.encoded += 1
        for target in job.targets:
            for place, reading in enumerate(job.readings):
                vector = None if place else vectors[target.kind]
                target.add(entry(reading.track, reading.file or (0, 0, ""), job.clip.audio, vector))

    def _vector(self, job: Job, target: Target) -> Float[Array, "d"]:
        rows = job.parts[target.kind]
        return track_vector(np.stack([rows[row] for row in sorted(rows)]), target.kind, self.encoder.card)

    def _next(self, rest: bool) -> int | None:
        """Length of the next batch: a full one, or the longest-waiting if it should not wait any more; else None."""
        full = next((size for size, windows in self._waiting.items() if len(windows) >= self.batch), None)
        held = sum(map(len, self._waiting.values()))
        if full is None and self._waiting and (rest or held > _HELD * self.batch):
            return next(iter(self._waiting))
        return full


def _release_memory(error: BaseException) -> bool:
    """Whether memory ran out; frees the cache of the GPU, so that a smaller batch may fit."""
    torch: Any = sys.modules.get("torch")
    exhausted = ran_out(error)
    if exhausted and torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
    return exhausted


def _joined(first: Parts | AudioError, second: Parts | AudioError) -> Parts | AudioError:
    """Results of two halves of a batch as one."""
    if isinstance(first, AudioError):
        return first
    if isinstance(second, AudioError):
        return second
    return {kind: np.concatenate([values, second[kind]]) for kind, values in first.items()}
