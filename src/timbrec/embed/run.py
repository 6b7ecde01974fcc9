"""From audio files to stores of vectors."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from timbrec.audio import Windows
from timbrec.embed.ledger import Ledger
from timbrec.embed.outputs import Output
from timbrec.embed.report import EmbedReport
from timbrec.embed.schedule import process
from timbrec.embed.target import Target
from timbrec.embed.tracks import MANIFEST, Listing, list_tracks
from timbrec.errors import ConfigError, StoreError
from timbrec.protocols import Encoder
from timbrec.store.manifest import newest
from timbrec.types import Progress


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
    output = Output(encoder, Path(store), windows or Windows(), layer, pool)
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
) -> EmbedReport:
    """Encode the audio of a folder or manifest (see `find_tracks`) into a store per output.

    A file is decoded once for all outputs that lack it, and not at all where its size and time of change, or its bytes,
    are those of a file read before. Audio of which a store has a vector is not encoded again, whatever its file is
    called and however it is tagged. A killed run loses at most the batches being encoded; the same call goes on from
    there. `prune` takes their vectors from tracks that are not asked for; else these are kept.

    `batch` windows are encoded at once, of one length and of any tracks (None: 60 s of audio on a processor, 480 s on a
    GPU). `workers` threads (None: one per core, at most 16) read ahead and, on a processor, encode. `progress` counts
    tracks.

    `ids` says how the tracks of a folder are called (see `list_tracks`); by default as the stores keep them.

    A file that cannot be used is a row of the report and stops nothing; its track loses the vector of an earlier state
    of the file. It is not read again until it changes, or `retry` is given. A track keeps its vector while the file it
    was made of exists: another file with the same id, from another folder, is a failure unless its audio is the same.
    Raises DataError if there are no tracks or an encoder's vectors are not as its card says, ConfigError for no
    output and for two with one store, and StoreError for a store of anything else, one that is being written, and a
    full disk.
    """
    if not outputs or len({output.store for output in outputs}) < len(outputs):
        raise ConfigError("there must be outputs, each with a store of its own", count=len(outputs))
    check_counts(batch, workers)
    listing = tracks_for(source, [output.store for output in outputs], ids)
    with _Targets() as targets:
        for output in outputs:
            targets.append(Target(output, "" if listing.ids == MANIFEST else listing.ids, retry))
        ledger = Ledger(listing, targets, progress)
        process(ledger, targets, batch, workers)
        report = ledger.report()
        if prune:
            asked = {track.id for track in listing.tracks}
            for target in targets:
                target.drop(set(target.tracks["id"]) - asked)
    return report


def tracks_for(source: Path | str, stores: Sequence[Path], ids: str | None = None) -> Listing:
    """The tracks of a folder or manifest, called as these stores call them, unless `ids` says otherwise.

    Raises ConfigError where the stores call their tracks in different ways.
    """
    if ids is None and Path(source).is_dir():
        existing = [store for store in stores if next(store.glob("manifest-*.json"), None) is not None]
        kept = {newest(store).track_ids for store in existing} - {""}
        if len(kept) > 1:
            raise ConfigError(
                "the stores name their tracks in different ways", example=sorted(kept), fix="Choose with `--ids`."
            )
        ids = next(iter(kept), None)
    return list_tracks(source, ids)


def check_counts(batch: int | None, workers: int | None) -> None:
    """Raise ConfigError for numbers of windows or threads below 1."""
    for name, count in (("batch", batch), ("workers", workers)):
        if count is not None and count < 1:
            raise ConfigError(f"`{name}` must be 1 or more", example=count, fix="Leave it out for the default.")


class _Targets(list[Target]):
    """Targets, closed in the end: what is done is committed, whatever stopped the run, unless the disk did."""

    def __enter__(self) -> _Targets:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with ExitStack() as stack:
            for target in self:
                stack.callback(target.close, commit=kind is None or not issubclass(kind, StoreError))
