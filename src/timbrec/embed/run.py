"""Encoding audio files into stores of vectors."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from timbrec import catalog
from timbrec.audio import Windows
from timbrec.embed.ledger import Ledger
from timbrec.embed.outputs import Output
from timbrec.embed.report import EmbedReport
from timbrec.embed.target import Target
from timbrec.embed.tracks import MANIFEST, Listing, list_tracks
from timbrec.embed.trial import needs_trial, try_out
from timbrec.errors import ConfigError, StoreError
from timbrec.machine.cluster import kind_of
from timbrec.places import location
from timbrec.protocols import Encoder
from timbrec.settings import check_counts
from timbrec.store.manifest import holds_store, newest
from timbrec.types import Progress

LOCAL = "local"


def embed(
    source: Path | str,
    encoder: Encoder,
    store: Path | str,
    windows: Windows | None = None,
    *,
    layer: int | None = None,
    pool: str = "mean",
    batch: int | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> EmbedReport:
    """Encode the audio of a folder or manifest into one store; see `embed_all`."""
    output = Output(encoder, location(store), windows or Windows(), layer, pool)
    return embed_all(source, [output], batch=batch, workers=workers, progress=progress)


def embed_all(
    source: Path | str,
    outputs: Sequence[Output],
    *,
    batch: int | None = None,
    workers: int | None = None,
    prune: bool = False,
    ids: str | None = None,
    retry: bool = False,
    progress: Progress | None = None,
    engine: str = LOCAL,
) -> EmbedReport:
    """Encode the audio of a folder or manifest (see `list_tracks`) into one store per output.

    Each file is decoded once for all outputs. A file with the size and modification time, or the bytes, of a file read
    before is not decoded, and audio with a vector in the store is not encoded again, under any name and with any tags.
    A killed run loses at most the batches in progress; the same call resumes it. `prune` removes the vectors of tracks
    that are not in `source`; by default they are kept.

    `batch` is the number of windows encoded at once, of one length and of any tracks (None: 60 s of audio on a CPU,
    480 s on a GPU). `workers` threads (None: one per core, at most 16) read ahead and, on a CPU, encode. `ids` chooses
    the ids of a folder's tracks (see `list_tracks`); by default, the choice kept in the stores. `progress` counts
    tracks. `engine` is `local`, `ray` (a Ray cluster started for this run) or `ray://HOST:PORT`, where `workers` are
    the threads of each worker; its encoders come from `load_encoder`, or are sent as they are.

    An unusable file becomes a row of the report, and its track loses the vector of an earlier state of the file. The
    file is read again after it changes, or with `retry`. A track keeps its vector while its own file exists: another
    file with the same id, from another folder, is a failure unless its audio is equal.

    A user's own encoder is tried out on noise first, except on Ray.

    Raises DataError if there are no tracks or vectors do not fit the encoder's card; ConfigError for no outputs, two
    outputs with one store, counts below 1, and an own encoder that fails; StoreError for a store of another kind, a
    store in use by another process, and a full disk.
    """
    if not outputs or len({output.store for output in outputs}) < len(outputs):
        raise ConfigError("there must be outputs, each with a store of its own", count=len(outputs))
    check_counts(batch=batch, workers=workers)
    if engine == LOCAL:
        for output in filter(needs_trial, outputs):
            try_out(output)
    listing = tracks_for(source, [output.store for output in outputs], ids)
    with _Targets() as targets:
        for output in outputs:
            targets.append(Target(output, "" if listing.ids == MANIFEST else listing.ids, retry))
        ledger = Ledger(listing, targets, progress)
        _engine(engine).run(ledger, targets, batch, workers)
        report = ledger.report()
        if prune:
            present = {track.id for track in listing.tracks}
            for target in targets:
                target.drop(set(target.tracks["id"]) - present)
    return report


def load_encoder(
    name: str, weights: Path | str | None = None, device: str = "auto", engine: str = LOCAL, **options: Any
) -> Encoder:
    """The encoder called `name` for an engine, as `timbrec.encoders.load` returns it; on Ray, workers load it."""
    loaded: Encoder = _engine(engine).load(name, weights, device, options)
    return loaded


def _engine(engine: str) -> Any:
    """The engine with this name, or a name and an address. Raises ConfigError for an unknown one."""
    kind = catalog.load("embed-engines", kind_of(engine))
    return kind(address=engine) if "://" in engine else kind()


def tracks_for(source: Path | str, stores: Sequence[Path], ids: str | None = None) -> Listing:
    """Return the tracks of a folder or manifest, with the kind of ids kept in these stores, unless `ids` is given.

    Raises ConfigError if the stores have different kinds of ids.
    """
    if ids is None and location(source).is_dir():
        existing = [store for store in stores if holds_store(store)]
        kept = {newest(store).track_ids for store in existing} - {""}
        if len(kept) > 1:
            raise ConfigError(
                "the stores have different kinds of ids", example=sorted(kept), fix="Choose with `--ids`."
            )
        ids = next(iter(kept), None)
    return list_tracks(source, ids)


class _Targets(list[Target]):
    """Targets that are closed at the end. Finished work is committed, except after a StoreError such as a full disk."""

    def __enter__(self) -> _Targets:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with ExitStack() as stack:
            for target in self:
                stack.callback(target.close, commit=kind is None or not issubclass(kind, StoreError))
