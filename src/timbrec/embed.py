"""From audio files to a store of vectors: decode ahead, encode in batches, pool over time, commit as it goes."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from timbrec.audio import CONTAINERS, Clip, Windows, read_windows
from timbrec.errors import AudioError, ConfigError, DataError
from timbrec.protocols import Encoder, EncoderCard
from timbrec.store import StoreInfo, VectorStore
from timbrec.types import Array, Float, Float32

Progress = Callable[[int, int], None]  # tracks done, of how many


class Track(NamedTuple):
    """A track's id and its file."""

    id: str
    path: Path


@dataclass(frozen=True, eq=False)
class EmbedReport:
    """What came of the tracks: `done` encoded now, `skipped` as the store had them, the rest in `failures`.

    `failures` and `remarks` are tables (id, path, reason): files that have no vector, to be tried again by the next
    run, and files encoded now that something is odd about.
    """

    done: int
    skipped: int
    failures: pl.DataFrame
    remarks: pl.DataFrame


def embed(
    source: Path | str,
    encoder: Encoder,
    store: Path | str,
    windows: Windows | None = None,
    *,
    batch: int = 16,
    commit_every: int = 100,
    workers: int | None = None,
    progress: Progress | None = None,
) -> EmbedReport:
    """Encode the audio of a folder or manifest (see `find_tracks`) into a store, which is made where there is none.

    A track's vector is the mean over time of its windows' vectors. Tracks that the store has are skipped, so running
    again goes on where it stopped; a killed run loses at most the `commit_every` tracks since its last commit, an
    interrupted one only those being encoded. `batch` windows are encoded at once, of one length and of any tracks;
    `workers` threads (None: one per core) decode ahead. `progress(done, total)` hears how far it is.

    A file that cannot be used is a row of the report and stops nothing. Raises DataError if there are no tracks or the
    encoder's vectors are not as its card says, and StoreError for a store of anything else.
    """
    tracks, chosen = find_tracks(source), windows or Windows()
    target = _open(Path(store), _info(encoder.card, chosen))
    known = target.has([track.id for track in tracks])
    todo = [track for track, there in zip(tracks, known, strict=True) if not there]
    sink = _Sink(encoder, target, batch, commit_every)
    with closing(sink):
        for done, (track, clip) in enumerate(_decoded(todo, encoder.card, chosen, workers or _cores()), 1):
            sink.add(track, clip)
            if progress is not None:
                progress(len(tracks) - len(todo) + done, len(tracks))
    return EmbedReport(sink.done, len(tracks) - len(todo), _table(sink.failures), _table(sink.remarks))


def pool(frames: Float[Array, "time dim"], pool: str = "mean", over: str = "time") -> Float32[Array, "dim"]:
    """One vector of a track's windows (or a window's frames): their mean over time, never over the channels.

    A sum would grow with the length of the track. Raises ConfigError for anything but the mean over time.
    """
    if (pool, over) != ("mean", "time"):
        raise ConfigError(f"vectors cannot be pooled by {pool!r} over {over!r}", fix="Use the mean over time.")
    return frames.mean(axis=0, dtype=np.float64).astype(np.float32)


def length_invariance(encoder: Encoder, seed: int = 0) -> float:
    """By how much the vector of a track changes when it is played twice: |v(twice) - v(once)| / |v(once)|.

    0 up to rounding where vectors are means over time; 1 where they are sums, whose length tells that of the track.
    """
    shape = (2, round(encoder.card.window * encoder.card.rate))
    once = np.random.default_rng(seed).normal(0, 0.1, shape).astype(np.float32)
    vectors = _vectors(encoder, [once, np.concatenate([once, once])], batch=len(once))
    short, long = (np.asarray(vector, np.float64) for vector in vectors)
    return float(np.linalg.norm(long - short) / np.linalg.norm(short))


def find_tracks(source: Path | str) -> list[Track]:
    """The tracks of a folder, in order of their ids, or of a manifest, in its order.

    Of a folder: all files below it with a suffix of CONTAINERS, hidden ones and linked folders aside; the id is the
    file's name without suffix (bytes that are not UTF-8 become U+FFFD). A manifest is a .csv, .tsv or .parquet with
    columns id and path; ids are text as they stand, paths are relative to its folder. Raises DataError where there is
    nothing, or an id comes twice.
    """
    source = Path(source)
    if not source.exists():
        raise DataError(f"{source} does not exist", fix="Check the path.")
    tracks = _in_folder(source) if source.is_dir() else _in_manifest(source)
    if not tracks:
        raise DataError(f"there is no audio in {source}", fix=f"Looked for {', '.join(CONTAINERS)}.")
    first: dict[str, Path] = {}
    twice = [track for track in tracks if first.setdefault(track.id, track.path) is not track.path]
    if twice:
        raise DataError(
            f"{source}: two files have the same id: {first[twice[0].id]} and {twice[0].path}",
            count=len(twice),
            example=twice[0].id,
            fix="Rename one of them, or give a manifest with columns id and path.",
        )
    return tracks


def _in_folder(folder: Path) -> list[Track]:
    def refuse(error: OSError) -> None:
        raise DataError(f"{error.filename} cannot be listed: {error.strerror}", fix="Check its permissions.")

    found = [Path(where, name) for where, _, names in os.walk(folder, onerror=refuse) for name in names]
    audio = [path for path in found if path.suffix.lower() in CONTAINERS and not path.name.startswith(".")]
    return sorted(Track(_text(path.stem), path) for path in audio)


def _in_manifest(path: Path) -> list[Track]:
    readers: dict[str, Callable[[Path], pl.DataFrame]] = {
        ".csv": lambda file: pl.read_csv(file, infer_schema=False),
        ".tsv": lambda file: pl.read_csv(file, infer_schema=False, separator="\t"),
        ".parquet": pl.read_parquet,
    }
    if path.suffix not in readers:
        raise DataError(f"{path} is neither a folder nor a manifest", fix=f"Give a folder, or {', '.join(readers)}.")
    try:
        table = readers[path.suffix](path)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise DataError(f"{path} cannot be read: {str(error).splitlines()[0]}", fix="Write it again.") from error
    if missing := [name for name in ("id", "path") if name not in table.columns]:
        raise DataError(f"{path} has no column {missing[0]!r}", fix=f"It has: {', '.join(table.columns)}.")
    table = table.select(pl.col("id", "path").cast(pl.String))
    if nothing := table.filter(pl.any_horizontal(pl.all().is_null() | (pl.all() == ""))).height:
        raise DataError(f"{path} has rows without id or path", count=nothing, fix="Fill them in.")
    return [Track(track, path.parent / file) for track, file in table.iter_rows()]


def _info(card: EncoderCard, windows: Windows) -> StoreInfo:
    return StoreInfo(card.name, card.revision, None, "mean", "time", windows.described(card.window), card.dim)


def _open(folder: Path, info: StoreInfo) -> VectorStore:
    """The store to append to; a new one in a folder that has none."""
    there = next(folder.glob("manifest-*.json"), None)
    return VectorStore.open(folder, expect=info) if there else VectorStore.create(folder, info)


def _decoded(
    tracks: Sequence[Track], card: EncoderCard, windows: Windows, workers: int
) -> Iterator[tuple[Track, Clip | AudioError]]:
    """Each track's windows or why there are none, in order; two tracks per worker are read ahead."""

    def read(track: Track) -> Clip | AudioError:
        try:
            return read_windows(track.path, card.rate, card.window, windows)
        except AudioError as error:
            return error

    ahead: deque[tuple[Track, Future[Clip | AudioError]]] = deque()
    threads = ThreadPoolExecutor(workers, thread_name_prefix="decode")
    try:
        for track in tracks:
            ahead.append((track, threads.submit(read, track)))
            if len(ahead) > 2 * workers:
                first, future = ahead.popleft()
                yield first, future.result()
        while ahead:
            first, future = ahead.popleft()
            yield first, future.result()
    finally:
        threads.shutdown(cancel_futures=True)


class _Sink:
    """Takes decoded tracks, and encodes and commits them when there are enough."""

    def __init__(self, encoder: Encoder, store: VectorStore, batch: int, commit_every: int) -> None:
        self._encoder, self._store, self._batch, self._commit_every = encoder, store, batch, commit_every
        self._clips: list[tuple[Track, Clip]] = []
        self._encoded: list[tuple[str, Float32[Array, "dim"]]] = []
        self.done = 0
        self.failures: list[tuple[Track, str]] = []
        self.remarks: list[tuple[Track, str]] = []

    def add(self, track: Track, clip: Clip | AudioError) -> None:
        if isinstance(clip, AudioError):
            self.failures.append((track, clip.what.removeprefix(f"{track.path}: ")))
            return
        self._clips.append((track, clip))
        if sum(len(one.windows) for _, one in self._clips) >= self._batch:
            self._encode()
        if len(self._encoded) >= self._commit_every:
            self._commit()

    def close(self) -> None:
        """Encode and commit what is held; after an error or an interruption too, so that nothing done is lost."""
        try:
            self._encode()
        finally:
            self._commit()

    def _encode(self) -> None:
        clips, self._clips = self._clips, []
        results = _vectors(self._encoder, [clip.windows for _, clip in clips], self._batch)
        for (track, clip), result in zip(clips, results, strict=True):
            if isinstance(result, AudioError):
                self.failures.append((track, result.what))
                continue
            self._encoded.append((track.id, result))
            self.remarks += [(track, remark) for remark in clip.remarks]

    def _commit(self) -> None:
        encoded, self._encoded = self._encoded, []
        if encoded:
            self._store.append([track for track, _ in encoded], np.stack([vector for _, vector in encoded]))
        self.done += len(encoded)


def _vectors(
    encoder: Encoder, tracks: Sequence[Float32[Array, "_ _"]], batch: int
) -> list[Float32[Array, "dim"] | AudioError]:
    """One vector per track, given its windows, or why it has none. Windows of one length are encoded together."""
    places: dict[int, list[tuple[int, int]]] = {}
    for number, windows in enumerate(tracks):
        places.setdefault(windows.shape[1], []).extend((number, row) for row in range(len(windows)))
    encoded: list[list[Array]] = [[] for _ in tracks]
    failed: dict[int, AudioError] = {}
    for same in places.values():
        for start in range(0, len(same), batch):
            some = same[start : start + batch]
            try:
                vectors = encoder.encode(np.stack([tracks[number][row] for number, row in some]))
            except AudioError as error:
                failed |= {number: error for number, _ in some}
                continue
            _refuse_other_shape(vectors, (len(some), encoder.card.dim), encoder.card)
            for (number, _), vector in zip(some, vectors, strict=True):
                encoded[number].append(vector)
    return [failed.get(number) or _pooled(np.stack(parts), encoder.card) for number, parts in enumerate(encoded)]


def _pooled(windows: Float32[Array, "windows dim"], card: EncoderCard) -> Float32[Array, "dim"] | AudioError:
    vector = pool(windows, pool="mean", over="time")
    _refuse_other_shape(vector, (card.dim,), card)
    return vector if np.isfinite(vector).all() else AudioError("the encoder made NaN or infinite values of it")


def _refuse_other_shape(vectors: Array, shape: tuple[int, ...], card: EncoderCard) -> None:
    if vectors.shape != shape:
        raise DataError(
            f"{card.name}: vectors of {vectors.shape[-1]:,} values where its card says {card.dim:,}: "
            f"pooled over the wrong axis? (shape {vectors.shape}, not {shape})",
            fix="Pool over time, or correct the card.",
        )


def _table(rows: list[tuple[Track, str]]) -> pl.DataFrame:
    data = [(track.id, _text(str(track.path)), reason) for track, reason in rows]
    return pl.DataFrame(data, dict.fromkeys(("id", "path", "reason"), pl.String), orient="row")


def _text(name: str) -> str:
    """A file name as text: bytes that are not UTF-8 become U+FFFD."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
