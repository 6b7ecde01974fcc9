"""The vectors of a config: from files, from stores, or from audio that is encoded first."""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from timbrec.data.settings import resolved
from timbrec.errors import ConfigError, DataError, NoAudioError, did_you_mean
from timbrec.study.entries import EncoderConfig
from timbrec.types import Progress

if TYPE_CHECKING:
    from timbrec.datasets.shared.base import Dataset
    from timbrec.embed import EmbedReport, Output
    from timbrec.protocols import Encoder
    from timbrec.store import VectorSource

_TRIED = 8  # tracks of a trial, after one that is not timed
_LONG = 5.0  # seconds per track from which none is tried
FILES = dict.fromkeys(("encoder", "id", "path", "outcome", "reason", "fix"), pl.String)


def given_vectors(entry: EncoderConfig, base: Path) -> VectorSource:
    """The vectors of a file or store; paths are relative to `base`, the folder of the config."""
    from timbrec.store.vectors import read_vectors

    if entry.vectors is None:
        raise ConfigError("there are neither vectors nor audio")
    ids = None if entry.ids is None else resolved(base, entry.ids)
    columns = {str(ours): theirs for ours, theirs in entry.columns.items()}
    return read_vectors(resolved(base, entry.vectors), ids, columns, entry.form)


def dataset_vectors(name: str, vectors: str, data: Dataset | None) -> VectorSource:
    """Vectors of a config's data set for the encoder `name`.

    Raises ConfigError where there is no data set, or none with such vectors.
    """
    if data is None:
        raise ConfigError(f"{name} takes vectors of a data set, and the config has none",
                          fix="Name one as `dataset: {use: NAME, path: FOLDER}`.")  # fmt: skip
    known = data.vectors()
    if vectors not in known:
        hint = did_you_mean(vectors, known)
        raise ConfigError(f"{name}: {data.name} gives no vectors {vectors!r}",
                          fix=f"{hint}It gives: {', '.join(known) or 'none with these settings'}.")  # fmt: skip
    return known[vectors]


def announced_vectors(
    name: str, entry: EncoderConfig, base: Path, device: str = "auto"
) -> tuple[VectorSource, pl.DataFrame]:
    """The tracks that encoding would add, with vectors of ones, and a table of files that are not audio.

    No audio is decoded or encoded: only the first bytes of every file are read. Raises the errors that encoding raises
    before it opens the first file: about the encoder's class, weights and options, and about the audio folder. A user's
    own encoder is created, and tried out on noise.
    """
    from timbrec.embed import tracks_for
    from timbrec.embed.trial import try_out
    from timbrec.encoders import check_options, check_weights, find, load
    from timbrec.encoders.shared.own import is_file_name
    from timbrec.store.vectors import Vectors

    encoder = encoder_name(name, entry, base)
    card = find(encoder).card
    check_options(encoder, entry.options)
    check_weights(encoder, _weights(entry, base))
    audio, store = _places(name, entry, base)
    dim = card.dim
    if is_file_name(encoder):
        own = load(encoder, _weights(entry, base), device, **entry.options)
        dim = try_out(_output(entry, own, store))
    tracks = tracks_for(audio, [store], _ids({name: entry})).tracks
    with ThreadPoolExecutor() as threads:  # files may be far away
        kinds_of_files = list(threads.map(lambda track: _not_audio(track.path), tracks))
    kinds = {track.id: (track.path, kind) for track, kind in zip(tracks, kinds_of_files, strict=True) if kind}
    listed = [
        (name, track, str(path), "failed", f"this is {kind}, not audio", "Replace or remove the file.")
        for track, (path, kind) in kinds.items()
    ]
    ids = [track.id for track in tracks if track.id not in kinds]
    if not ids:
        raise DataError(
            f"{name}: no file of {audio} is audio", count=len(tracks), example=listed[0][4] if listed else None
        )
    ones = np.broadcast_to(np.float32(1), (len(ids), dim))
    return Vectors(ids, ones, str(audio)), pl.DataFrame(listed, schema=FILES, orient="row")


def _not_audio(path: Path) -> str:
    """The kind of a file that is not audio, by its first bytes; empty for any other file."""
    from timbrec.audio.kinds import description

    try:
        return description(path) if path.stat().st_size else "an empty file"
    except OSError as error:
        return f"a file that cannot be opened ({error.strerror})"


def encoded_vectors(
    entries: Mapping[str, EncoderConfig],
    base: Path,
    device: str,
    progress: Progress | None,
    engine: str = "local",
) -> tuple[dict[str, VectorSource], pl.DataFrame]:
    """Encode the missing vectors of encoders of the same audio; returns their stores and a table of odd files."""
    from timbrec.embed import embed_all, load_encoder
    from timbrec.store import Subset, VectorStore

    outputs = {}
    for name, entry in entries.items():
        audio, store = _places(name, entry, base)
        encoder = load_encoder(encoder_name(name, entry, base), _weights(entry, base), device, engine, **entry.options)
        outputs[name] = _output(entry, encoder, store)
    ids = _ids(entries)
    report = embed_all(audio, list(outputs.values()), ids=ids, progress=progress, engine=engine)
    sources: dict[str, VectorSource] = {  # a store may hold tracks of other folders
        name: Subset(VectorStore.open(output.store), report.tracks) for name, output in outputs.items()
    }
    listed = pl.concat([_listed(name, outputs[name].card.name, report) for name in entries])
    if empty := [name for name, source in sources.items() if not len(source)]:
        failed = listed.filter(encoder=empty[0], outcome="failed")
        raise NoAudioError(
            f"{empty[0]}: no audio file could be encoded", count=len(failed),
            example=None if failed.is_empty() else f"{Path(failed['path'][0]).name}: {failed['reason'][0]}",
            fix="`timbrec embed` with this folder and encoder lists the reasons of all files.",
        )  # fmt: skip
    return sources, listed


def seconds_per_track(name: str, entry: EncoderConfig, base: Path, device: str, rate: float) -> float:
    """Expected seconds of encoding a track of the entry's audio: those of a few tracks, encoded into a temporary store.

    If a track takes long by the encoder's card, on a machine of `rate` operations per second, none is encoded.
    """
    from timbrec.embed import embed_all, load_encoder, tracks_for

    encoder = load_encoder(encoder_name(name, entry, base), _weights(entry, base), device, **entry.options)
    audio, store = _places(name, entry, base)
    if (by_card := encoder.card.gflop * 1e9 * entry.count / rate) > _LONG:
        return by_card
    tracks = tracks_for(audio, [store], _ids({name: entry})).tracks
    chosen = [tracks[place] for place in np.linspace(0, len(tracks) - 1, _TRIED + 1).astype(int)]
    with TemporaryDirectory(prefix="timbrec-") as folder:
        output, seconds = _output(entry, encoder, Path(folder, "vectors")), 0.0
        for number, part in enumerate((chosen[:1], chosen[1:])):  # the first one warms up
            manifest = Path(folder, f"{number}.csv")
            rows = [(f"{place}", str(track.path.absolute())) for place, track in enumerate(part)]
            pl.DataFrame(rows, schema=["id", "path"], orient="row").write_csv(manifest)
            started = time.perf_counter()
            embed_all(manifest, [replace(output, store=Path(folder, f"vectors-{number}"))])
            seconds = time.perf_counter() - started
    return seconds / _TRIED


def _weights(entry: EncoderConfig, base: Path) -> Path | None:
    return None if entry.weights is None else resolved(base, entry.weights)


def _output(entry: EncoderConfig, encoder: Encoder, store: Path) -> Output:
    from timbrec.audio import Windows
    from timbrec.embed import Output

    return Output(encoder, store, Windows(entry.windows, entry.count), entry.layer, entry.pool)


def grouped_by_audio(entries: Mapping[str, EncoderConfig], base: Path) -> list[dict[str, EncoderConfig]]:
    """The encoders grouped by audio folder: a folder is decoded once for all its encoders."""
    groups: dict[Path, dict[str, EncoderConfig]] = {}
    for name, entry in entries.items():
        if entry.audio is not None:
            groups.setdefault(resolved(base, entry.audio), {})[name] = entry
    return list(groups.values())


def encoder_name(name: str, entry: EncoderConfig, base: Path) -> str:
    """The encoder's name for `timbrec.encoders`; the path of a user's own class is relative to the config."""
    from timbrec.encoders import located

    return located(entry.encoder or name, base)


def _listed(name: str, encoder: str, report: EmbedReport) -> pl.DataFrame:
    """A table of audio files without a vector of the encoder, and of files with a remark."""
    failed = report.failures.filter(pl.col("encoder").is_null() | (pl.col("encoder") == encoder)).drop("encoder")
    tables = (failed.with_columns(outcome=pl.lit("failed")), report.remarks.with_columns(outcome=pl.lit("remark")))
    return pl.concat(tables).select(pl.lit(name).alias("encoder"), *list(FILES)[1:])


def _ids(entries: Mapping[str, EncoderConfig]) -> str | None:
    """How encoders of the same audio name its tracks. Raises ConfigError where they differ."""
    ids = {str(entry.ids) for entry in entries.values() if entry.ids is not None}
    if len(ids) > 1:
        raise ConfigError(f"{', '.join(entries)} name the same tracks in different ways", example=sorted(ids),
                          fix="Give them the same `ids`.")  # fmt: skip
    return next(iter(ids), None)


def _places(name: str, entry: EncoderConfig, base: Path) -> tuple[Path, Path]:
    """The audio and the store of its vectors, by default `vectors/NAME` beside the config, or `own_store`.

    Raises ConfigError if the former default, beside the audio, holds a store and the present one does not.
    """
    from timbrec.encoders.shared.own import is_file_name
    from timbrec.store.manifest import holds_store
    from timbrec.study.own_encoders import own_store

    if entry.audio is None:
        raise ConfigError(f"{name} names neither vectors nor audio")
    audio = resolved(base, entry.audio)
    store, former = resolved(base, entry.store or Path("vectors", name)), audio.parent / "vectors" / name
    if entry.store is None and holds_store(former) and not holds_store(store):
        raise ConfigError(f"{name}: there is a store at {former}, and none at {store}",
                          fix=f"Use it by `store: {former}`, or move it there.")  # fmt: skip
    if entry.store is None and is_file_name(used := encoder_name(name, entry, base)):
        store = own_store(store, used)
    return audio, store
