"""Who does what when: files are read ahead, and batches encoded beside them, so that no core waits."""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from typing import Any

from timbrec.embed.encode import Parts
from timbrec.embed.hear import Heard, hear
from timbrec.embed.ledger import Ledger
from timbrec.embed.passes import Pass, Window
from timbrec.embed.target import Target
from timbrec.errors import AudioError
from timbrec.protocols import DeviceEncoder, Encoder

_MOST_WORKERS = 16
_BATCH_SECONDS = {"cpu": 60.0, "gpu": 480.0}  # of audio: a processor's cache holds little, a GPU wants much


def process(ledger: Ledger, targets: Sequence[Target], batch: int | None, workers: int | None) -> None:
    """Read and encode all that the ledger says is lacking; every finished batch is kept at once."""
    if not ledger.lacking:
        return
    workers = workers or min(cores(), _MOST_WORKERS)
    passes = _passes(targets, batch)
    with ExitStack() as stack:
        shared = _threads(workers, stack)
        executors = {id(one): _executor(one.encoder, shared, stack) for one in passes}
        alone = any(executor is not shared for executor in executors.values())
        stack.enter_context(_torch_threads(1 if alone else workers))
        _Work(ledger, targets, passes, shared, executors, ahead=2 * workers).run()


class _Work:
    """One thread, the caller's, that hands out work and keeps what comes back: nothing else touches a store."""

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
        self._reading: deque[Future[Heard]] = deque()
        self._encoding: dict[Future[Parts | AudioError], tuple[Pass, list[Window]]] = {}

    def run(self) -> None:
        """Until everything is done."""
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
            self._reading.append(self._readers.submit(hear, *lacking))

    def _start(self) -> None:
        """Encode what there is a batch of; in the end, all."""
        rest = not self._reading
        for one in self._passes:
            while len(self._encoding) < self._most and (windows := one.batch_of_windows(rest)):
                self._encoding[self._executors[id(one)].submit(one.encode, windows)] = one, windows

    def _keep(self, future: Future[Parts | AudioError]) -> None:
        one, windows = self._encoding.pop(future)
        for job in one.finish(windows, future.result()):
            self._ledger.keep(job, one)
        for target in self._targets:
            target.flush()


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _passes(targets: Sequence[Target], batch: int | None) -> list[Pass]:
    """The targets that the same windows of the same encoder serve, together."""
    together: dict[object, list[Target]] = {}
    for target in targets:
        together.setdefault((id(target.output.encoder), target.output.cut), []).append(target)
    return [Pass(same, batch or _batch(same[0])) for same in together.values()]


def _batch(target: Target) -> int:
    seconds = _BATCH_SECONDS["gpu" if _on_gpu(target.output.encoder) else "cpu"]
    return max(1, int(seconds / target.output.cut.seconds))


def _executor(encoder: Encoder, shared: Executor, stack: ExitStack) -> Executor:
    """The readers' threads for concurrent encoders on a processor, else separate threads.

    A GPU is served by two, so that one prepares windows while the other's are encoded. An encoder that is not
    concurrent is called by one thread.
    """
    if encoder.card.concurrent and not _on_gpu(encoder):
        return shared
    return _threads(2 if encoder.card.concurrent else 1, stack)


def _on_gpu(encoder: Encoder) -> bool:
    return isinstance(encoder, DeviceEncoder) and not str(encoder.device).startswith("cpu")


def _threads(count: int, stack: ExitStack) -> Executor:
    threads = ThreadPoolExecutor(count, thread_name_prefix="embed")
    stack.callback(threads.shutdown, cancel_futures=True)
    return threads


@contextmanager
def _torch_threads(callers: int) -> Iterator[None]:
    """Give each of several callers its share of the cores: their sum, not their product, should be all of them."""
    torch: Any = sys.modules.get("torch")
    if torch is None:
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(max(1, min(before, cores() // callers)))
    try:
        yield
    finally:
        torch.set_num_threads(before)
