"""Runs probes on the vectors of several encoders, each encoder's vectors read once for all probes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial, reduce
from math import isfinite
from pathlib import Path

import numpy as np
import polars as pl

from timbrec.data.vocabulary import Vocabulary
from timbrec.errors import DataError, TimbrecError, listing
from timbrec.machine.cluster import Calls
from timbrec.machine.devices import cores, limit_threads
from timbrec.probes.shared.base import Probe
from timbrec.probes.shared.heads import settings_of
from timbrec.probes.shared.labels import Labels, Targets, prepare
from timbrec.probes.shared.leaks import leak
from timbrec.probes.shared.records import Record, read_record, write_record
from timbrec.probes.shared.scoring import score
from timbrec.store import VectorSource
from timbrec.types import Array, Float32, Progress

SMALL = 1_000_000  # numbers in a matrix of vectors; below it, waiting threads take longer than the work
FORMAT = 1  # raise it when the split, a head or a metric changes numbers


@dataclass(frozen=True, eq=False)
class Loadable:
    """Vectors of an encoder that are loaded when needed.

    `ids` have a vector; `digest` identifies the vectors; `datasets` are the public data sets of the encoder's training;
    `origin` is a path or name by which known leaks are found.
    """

    ids: pl.Series
    digest: str
    load: Callable[[], VectorSource]
    datasets: tuple[str, ...] = ()
    origin: str = ""


@dataclass(frozen=True, eq=False)
class Prepared:
    """A probe that can run: its label in tables, its targets, and the vectors of each encoder."""

    label: str
    use: str
    probe: Probe
    targets: Targets
    sources: Mapping[str, Loadable]

    def identity(self, encoder: str) -> list[object]:
        """Everything that decides the numbers of the probe on an encoder."""
        probe = self.probe
        settings = settings_of(probe.head)
        return [FORMAT, self.use, probe.version, probe.head, probe.seed, settings, self.targets.digest,
                self.sources[encoder].digest]  # fmt: skip


def prepared(label: str, use: str, probe: Probe, labels: Labels, sources: Mapping[str, Loadable]) -> Prepared:
    """The probe on the tracks that all of `sources` have, so that every encoder is tested on the same tracks.

    Tracks that an encoder lacks are counted. Raises DataError if no track is left.
    """
    if not sources:
        raise DataError(f"there are no vectors for probe {label!r}", fix="Name vectors or audio for it.")
    available = reduce(
        lambda ids, other: ids.filter(ids.is_in(other.implode())), (item.ids for item in sources.values())
    )
    widest = max(sources, key=lambda name: len(sources[name].ids))
    remarks = [
        f"{name} lacks {len(sources[widest].ids) - len(item.ids):,} tracks that {widest} has: they are left out for all"
        for name, item in sources.items() if len(item.ids) < len(sources[widest].ids)
    ]  # fmt: skip
    if not len(available):
        raise DataError(f"{listing(list(sources))} share no track", fix="Make their ids the same kind.")
    targets = prepare(labels, available, probe.seed)
    return Prepared(label, use, probe, replace(targets, remarks=(*targets.remarks, *remarks)), sources)


def run(
    probes: Sequence[Prepared],
    place: Callable[[Prepared, str], Path | None],
    fail: Callable[[Prepared, str, str], None],
    progress: Progress | None = None,
    engine: str = "local",
) -> Iterator[Record]:
    """The records of all probes, encoder by encoder; a finished record is read, not computed again.

    `place` gives the folder of a record, None to keep none. A probe that fails on an encoder is passed to `fail` with
    the reason, and the others go on. On Ray, several probes are computed at once; `engine` must be connected.
    """
    total, done = sum(len(item.sources) for item in probes), 0
    calls, waiting = Calls(engine), deque[_Work]()
    for work in _works(probes, place):
        if progress:
            progress(f"probes: {work.item.label} on {work.encoder}", done, total)
        work.start(calls)
        waiting.append(work)
        if len(waiting) > calls.ahead:
            yield from waiting.popleft().records(fail)
            done += 1
    for work in waiting:
        yield from work.records(fail)
    if progress:
        progress("probes", total, total)


def _works(probes: Sequence[Prepared], place: Callable[[Prepared, str], Path | None]) -> Iterator[_Work]:
    """All probes on all encoders, encoder by encoder; the vectors of an encoder are read once."""
    for encoder in dict.fromkeys(name for item in probes for name in item.sources):
        for source, members in _by_source(probes, encoder):
            matrix = _Matrix(source, members)
            for item in members:
                yield _Work(item, encoder, place(item, encoder), matrix)


class _Work:
    """A probe on an encoder, with a record that is read from `folder` or computed."""

    def __init__(self, item: Prepared, encoder: str, folder: Path | None, matrix: _Matrix) -> None:
        self.item, self.encoder, self.folder, self.matrix = item, encoder, folder, matrix
        self.fetch: Callable[[], Record] = partial(_raised, DataError("the probe was not started"))

    def start(self, calls: Calls) -> None:
        """Read the record, or submit its computation. An error is raised by `fetch`."""
        try:
            record = read_record(self.folder) if self.folder is not None else None
            if record is None:
                given = _alone(self.item, self.encoder), self.encoder, self.matrix.rows(self.item.targets.ids)
                self.fetch = partial(self._stored, calls.submit(_record, *given))
            else:
                self.fetch = partial(_same, record)
        except Exception as error:  # noqa: BLE001 - the other probes go on
            self.fetch = partial(_raised, error)

    def records(self, fail: Callable[[Prepared, str, str], None]) -> Iterator[Record]:
        """The record; nothing for a probe that failed."""
        try:
            yield replace(self.fetch(), probe=self.item.label, encoder=self.encoder)  # names are for readers
        except Exception as error:  # noqa: BLE001 - the other probes go on
            fail(self.item, self.encoder, str(error) if isinstance(error, TimbrecError) else repr(error))

    def _stored(self, compute: Callable[[], Record]) -> Record:
        record = compute()
        if self.folder is not None:
            write_record(record, self.folder)
        return record


def _alone(item: Prepared, encoder: str) -> Prepared:
    """The probe with one encoder and without its vectors: small enough to send to another process."""
    source = replace(item.sources[encoder], ids=item.targets.ids.clear(), load=_nowhere)
    return replace(item, sources={encoder: source})


def _nowhere() -> VectorSource:
    raise DataError("the vectors of a probe are loaded where it was started")


def _raised(error: Exception) -> Record:
    raise error


def _same(record: Record) -> Record:
    return record


def _by_source(probes: Sequence[Prepared], encoder: str) -> Iterator[tuple[Loadable, list[Prepared]]]:
    """The encoder's sources of vectors, each with the probes that use it."""
    members: dict[int, tuple[Loadable, list[Prepared]]] = {}
    for item in probes:
        if encoder in item.sources:
            source = item.sources[encoder]
            members.setdefault(id(source), (source, []))[1].append(item)
    yield from members.values()


class _Matrix:
    """The vectors of all tracks that some probes use, loaded at first use."""

    def __init__(self, source: Loadable, members: Sequence[Prepared]) -> None:
        self._source, self._members = source, members

    @cached_property
    def known(self) -> Vocabulary:
        """The tracks of all members."""
        return Vocabulary.of(pl.concat([item.targets.ids for item in self._members]))

    @cached_property
    def vectors(self) -> Float32[Array, "n dim"]:
        """(tracks, dim) vectors, in the order of `known`."""
        return self._source.load().aligned(self.known.ids)

    def rows(self, ids: pl.Series) -> Float32[Array, "m dim"]:
        """The vectors of some tracks."""
        return self.vectors[self.known.rows(ids)]


def _record(item: Prepared, encoder: str, vectors: Float32[Array, "n dim"]) -> Record:
    targets, source = item.targets, item.sources[encoder]
    with limit_threads(1 if vectors.size < SMALL else cores()):
        result = score(targets, vectors, item.probe.head, item.probe.seed)
    low, high = (limit if isfinite(limit) else None for limit in (result.interval.low, result.interval.high))
    return Record(
        item.label, item.use, targets.kind, encoder, item.probe.head, dict(result.values), low, high,
        result.shuffled, result.expected, result.at_chance, result.majority, len(targets.rows("train")),
        len(targets.rows("validation")), _distinct(targets), vectors.shape[1], dict(result.chosen),
        result.validation, result.seconds, (*targets.remarks, *result.remarks),
        leak(encoder, item.probe.data, source.datasets, source.origin), result.test,
    )  # fmt: skip


def _distinct(targets: Targets) -> int:
    return len(np.unique(targets.values)) if targets.kind == "key" else len(targets.names)
