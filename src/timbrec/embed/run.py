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
from timbrec.embed.tracks import find_tracks
from timbrec.errors import ConfigError, StoreError
from timbrec.protocols import Encoder
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

    A file that cannot be used is a row of the report and stops nothing; the vector of what it was before is taken from
    it. Raises DataError if there are no tracks or an encoder's vectors are not as its card says, ConfigError for no
    output and for two with one store, and StoreError for a store of anything else, one that is being written, and a
    full disk.
    """
    if not outputs or len({output.store for output in outputs}) < len(outputs):
        raise ConfigError("there must be outputs, each with a store of its own", count=len(outputs))
    tracks = find_tracks(source)
    with _Targets() as targets:
        for output in outputs:
            targets.append(Target(output))
        ledger = Ledger(tracks, targets, progress)
        process(ledger, targets, batch, workers)
        report = ledger.report()
        if prune:
            asked = {track.id for track in tracks}
            for target in targets:
                target.drop(set(target.tracks["id"]) - asked)
    return report


class _Targets(list[Target]):
    """Targets, closed in the end: what is done is committed, whatever stopped the run, unless the disk did."""

    def __enter__(self) -> _Targets:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with ExitStack() as stack:
            for target in self:
                stack.callback(target.close, commit=kind is None or not issubclass(kind, StoreError))
