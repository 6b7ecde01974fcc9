"""Scheduling: files are read ahead while batches are encoded, so that no core is idle."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from typing import Any

from timbrec.embed.encode import Parts
from timbrec.embed.ledger import Ledger
from timbrec.embed.passes import Pass, Window
from timbrec.embed.reading import Reading, read_track
from timbrec.embed.target import Target
from timbrec.errors import AudioError
from timbrec.machine.devices import cores, limit_threads
from timbrec.protocols import DeviceEncoder, Encoder

_MOST_WORKERS = 16


def process(
    ledger: Ledger, targets: Sequence[Target], batch: int | None, workers: int | None, threads: int | None = None
) -> None:
    """Read and encode all tracks that the ledger lists as lacking; every finished batch is stored at once.

    `threads` is the number of cores to use, by default all.
    """
    if not ledger.lacking:
        return
    threads = threads or cores()
    workers = workers or min(threads, _MOST_WORKERS)
    passes = passes_of(targets, batch)
    with ExitStack() as stack:
        shared = _threads(workers, stack)
        executors = {id(encoding): _executor(encoding.encoder, shared, stack) for encoding in passes}
        alone = any(executor is not shared for executor in executors.values())
        stack.enter_context(limit_threads(max(1, threads // (1 if alone else workers))))
        _Work(ledger, targets, passes, shared, executors, ahead=2 * workers).run()
    for encoding in passes:
        for target in encoding.targets:
            target.timed(encoding.device, encoding.encoded, encoding.seconds)


class _Work:
    """Distribution of work to threads. Only the calling thread writes to stores."""

    def __init__(
        self,
        ledger: Ledger,
        targets: Sequence[Target],
        passes: Sequence[Pass],
        readers: Executor,
        executors: dict[int, Executor],
        ahead: int,
    ) -> None:
        self._ledger, self._targets, self._passes = ledger, targets, passes
        self._readers, self._executors, self._most = readers, executors, ahead
        self._todo = iter(ledger.lacking.items())
        self._reading: deque[Future[Reading]] = deque()
        self._encoding: dict[Future[Parts | AudioError], tuple[Pass, list[Window]]] = {}

    def run(self) -> None:
        """Work until all tracks are done."""
        self._read_ahead()
        while self._reading or self._encoding:
            waiting: list[Future[Any]] = list(self._encoding)
            if self._reading and len(self._encoding) < self._most:
                waiting.append(self._reading[0])
            wait(waiting, return_when=FIRST_COMPLETED)
            for future in [future for future in self._encoding if future.done()]:
                self._keep(future)
            if self._reading and self._reading[0].done() and len(self._encoding) < self._most:
                self._ledger.take(self._reading.popleft().result(), self._passes)
            self._read_ahead()
            self._start()

    def _read_ahead(self) -> None:
        while len(self._reading) < self._most and (lacking := next(self._todo, None)) is not None:
            self._reading.append(self._readers.submit(read_track, *lacking))

    def _start(self) -> None:
        """Start encoding full batches, and at the end all remaining windows."""
        rest = not self._reading
        for encoding in self._passes:
            while len(self._encoding) < self._most and (windows := encoding.batch_of_windows(rest)):
                future = self._executors[id(encoding)].submit(encoding.encode, windows)
                self._encoding[future] = encoding, windows

    def _keep(self, future: Future[Parts | AudioError]) -> None:
        encoding, windows = self._encoding.pop(future)
        for job in encoding.finish(windows, future.result()):
            self._ledger.keep(job, encoding)
        for target in self._targets:
            target.flush()


def passes_of(targets: Sequence[Target], batch: int | None) -> list[Pass]:
    """Group targets by encoder and cut, a pass for each group."""
    together: dict[object, list[Target]] = {}
    for target in targets:
        together.setdefault((id(target.output.encoder), target.output.cut), []).append(target)
    return [Pass(same, batch) for same in together.values()]


def _executor(encoder: Encoder, shared: Executor, stack: ExitStack) -> Executor:
    """Return the threads that call an encoder: those of the readers if it is concurrent and on a CPU, else others.

    A GPU gets two threads, so that one prepares windows while the other encodes. An encoder that is not concurrent is
    called by one thread.
    """
    if encoder.card.concurrent and not on_gpu(encoder):
        return shared
    return _threads(2 if encoder.card.concurrent else 1, stack)


def on_gpu(encoder: Encoder) -> bool:
    """Whether the encoder computes on a GPU; False for one that names no device."""
    return isinstance(encoder, DeviceEncoder) and not str(encoder.device).startswith("cpu")


def _threads(count: int, stack: ExitStack) -> Executor:
    threads = ThreadPoolExecutor(count, thread_name_prefix="embed")
    stack.callback(threads.shutdown, cancel_futures=True)
    return threads
