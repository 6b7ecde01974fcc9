"""Runs probes on the vectors of several encoders, each encoder's vectors read once for all probes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from math import isfinite
from pathlib import Path

import numpy as np
import polars as pl

from timbrec.data.vocabulary import Vocabulary
from timbrec.errors import DataError, TimbrecError, listing
from timbrec.probes.shared.base import Probe
from timbrec.probes.shared.heads import settings_of
from timbrec.probes.shared.labels import Labels, Targets, prepare
from timbrec.probes.shared.leaks import leak
from timbrec.probes.shared.records import Record, read_record, write_record
from timbrec.probes.shared.scoring import score
from timbrec.store import VectorSource
from timbrec.types import Array, Float32, Progress

FORMAT = 1  # raise it when the split, a head or a metric changes numbers


@dataclass(frozen=True, eq=False)
class Loadable:
    """Vectors of an encoder that are loaded when they are needed.

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
    """The probe on the tracks that all of `sources` have.

    Every encoder is so tested on the same tracks; tracks that an encoder lacks are counted. Raises DataError where no
    track is left.
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
) -> Iterator[Record]:
    """The records of all probes, encoder by encoder; a finished record is read, not computed again.

    `place` gives the folder of a record, None to keep none. A probe that fails on an encoder is passed to `fail` with
    the reason, and the others go on.
    """
    encoders = list(dict.fromkeys(name for item in probes for name in item.sources))
    total, done = sum(len(item.sources) for item in probes), 0
    for encoder in encoders:
        for source, members in _by_source(probes, encoder):
            matrix: _Matrix | None = None
            for item in members:
                if progress:
                    progress(f"probes: {item.label} on {encoder}", done, total)
                folder = place(item, encoder)
                record = read_record(folder) if folder is not None else None
                try:
                    if record is None:
                        matrix = matrix or _Matrix.of(source, members)
                        record = _record(item, encoder, matrix.rows(item.targets.ids))
                        if folder is not None:
                            write_record(record, folder)
                    yield replace(record, probe=item.label, encoder=encoder)  # names are for readers
                except Exception as error:  # noqa: BLE001 - the other probes go on
                    fail(item, encoder, str(error) if isinstance(error, TimbrecError) else repr(error))
                done += 1
    if progress:
        progress("probes", total, total)


def _by_source(probes: Sequence[Prepared], encoder: str) -> Iterator[tuple[Loadable, list[Prepared]]]:
    """The encoder's sources of vectors, each with the probes that use it."""
    members: dict[int, tuple[Loadable, list[Prepared]]] = {}
    for item in probes:
        if encoder in item.sources:
            source = item.sources[encoder]
            members.setdefault(id(source), (source, []))[1].append(item)
    yield from members.values()


@dataclass(frozen=True, eq=False)
class _Matrix:
    """The vectors of all tracks that some probes use."""

    known: Vocabulary
    vectors: Float32[Array, "n dim"]

    @classmethod
    def of(cls, source: Loadable, members: Sequence[Prepared]) -> _Matrix:
        known = Vocabulary.of(pl.concat([item.targets.ids for item in members]))
        return cls(known, source.load().aligned(known.ids))

    def rows(self, ids: pl.Series) -> Float32[Array, "m dim"]:
        return self.vectors[self.known.rows(ids)]


def _record(item: Prepared, encoder: str, vectors: Float32[Array, "n dim"]) -> Record:
    targets, source = item.targets, item.sources[encoder]
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
