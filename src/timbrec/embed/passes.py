"""One pass of an encoder over windows of many tracks: filling batches of one length, and putting tracks together."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from timbrec.audio import Clip
from timbrec.embed.encode import Kind, Parts, encode_windows, is_out_of_memory, track_vector
from timbrec.embed.hear import Heard
from timbrec.embed.target import Target, entry
from timbrec.errors import AudioError
from timbrec.protocols import Encoder
from timbrec.types import Array, Float

_LOG = logging.getLogger(__name__)
_HELD = 4  # batches of windows that wait for others of their length, before one goes as it is


@dataclass(eq=False)
class Job:
    """A track's audio on its way through an encoder; `heard` are the tracks that have this very audio."""

    heard: list[Heard]
    clip: Clip
    targets: list[Target]
    left: int
    parts: dict[Kind, dict[int, Float[Array, "d"]]] = field(default_factory=dict)
    error: AudioError | None = None


class Window(NamedTuple):
    """One window of a job."""

    job: Job
    row: int


class Pass:
    """Encodes, for all targets with the same encoder and the same cut."""

    def __init__(self, targets: list[Target], batch: int) -> None:
        self.targets, self.batch = targets, batch
        self.encoder: Encoder = targets[0].output.encoder
        self.cut = targets[0].output.cut
        self._waiting: dict[int, list[Window]] = {}
        self._jobs: dict[str, Job] = {}

    def take(self, heard: Heard, clip: Clip, targets: list[Target]) -> bool:
        """A track for some of the targets; False where their stores know its audio already."""
        for target in targets:
            if target.has(clip.audio):
                target.add(entry(heard.track, heard.file or (0, 0, ""), clip.audio))
        lacking = [target for target in targets if not target.has(clip.audio)]
        if not lacking:
            return False
        if clip.audio in self._jobs:
            self._jobs[clip.audio].heard.append(heard)
            return True
        job = self._jobs[clip.audio] = Job([heard], clip, lacking, len(clip.windows))
        windows = self._waiting.setdefault(clip.windows.shape[1], [])
        windows += [Window(job, row) for row in range(job.left)]
        return True

    def batch_of_windows(self, rest: bool) -> list[Window]:
        """Windows of one length, as many as are encoded at once; fewer if too many wait, or if the rest must go."""
        size = self._next(rest)
        if size is None:
            return []
        windows = self._waiting.pop(size)
        if len(windows) > self.batch:
            self._waiting[size] = windows[self.batch :]
        return windows[: self.batch]

    def encode(self, windows: list[Window]) -> Parts | AudioError:
        """What is kept of each window. Out of memory, halves of the batch are tried, down to single windows."""
        kinds = list({target.kind: None for window in windows for target in window.job.targets})
        try:
            return encode_windows(self.encoder, np.stack([job.clip.windows[row] for job, row in windows]), kinds)
        except AudioError as error:
            return error
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
        if len(windows) == 1:  # outside of the except, whose error holds what the encoder had in memory
            return AudioError("there is not enough memory to encode one window of it", passing=True)
        half = len(windows) // 2
        if half < self.batch:
            _LOG.warning("%s: out of memory; going on with batches of %d windows", self.encoder.card.name, half)
            self.batch = half
        return _both(self.encode(windows[:half]), self.encode(windows[half:]))

    def finish(self, windows: list[Window], parts: Parts | AudioError) -> Iterator[Job]:
        """Keep what came of a batch; yields the jobs that are complete, their vectors with their targets."""
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
        if job.error is not None:
            return
        for target in job.targets:
            for place, heard in enumerate(job.heard):
                vector = None if place else vectors[target.kind]
                target.add(entry(heard.track, heard.file or (0, 0, ""), job.clip.audio, vector))

    def _vector(self, job: Job, target: Target) -> Float[Array, "d"]:
        rows = job.parts[target.kind]
        return track_vector(np.stack([rows[row] for row in sorted(rows)]), target.kind, self.encoder.card)

    def _next(self, rest: bool) -> int | None:
        """The length of which there is a batch; where none is full, that which waits longest, if it must go."""
        full = next((size for size, windows in self._waiting.items() if len(windows) >= self.batch), None)
        held = sum(map(len, self._waiting.values()))
        if full is None and self._waiting and (rest or held > _HELD * self.batch):
            return next(iter(self._waiting))
        return full


def _both(first: Parts | AudioError, second: Parts | AudioError) -> Parts | AudioError:
    if isinstance(first, AudioError):
        return first
    if isinstance(second, AudioError):
        return second
    return {kind: np.concatenate([values, second[kind]]) for kind, values in first.items()}
