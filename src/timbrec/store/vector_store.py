"""Vector store: a folder of immutable shards that grows by atomic commits."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl

from timbrec.data.vocabulary import Vocabulary
from timbrec.errors import DataError, PlaceError, StoreError
from timbrec.places import Place, Rows, location, place_of
from timbrec.store.manifest import File, Manifest, Shard, StoreInfo, newest, publish
from timbrec.store.source import Ids, VectorSource, blocks, count_zeros, distinct_ids
from timbrec.store.speed import Speed, speed_of
from timbrec.types import Array, Int

# Columns of a track: id, hash of the audio, and size, modification time (ns), hash and path of its file.
TRACKS = {
    "id": pl.String, "audio": pl.String, "size": pl.Int64, "mtime": pl.Int64, "file": pl.String, "path": pl.String,
}  # fmt: skip


class KnownError(StoreError):
    """A store has vectors under some of the ids to be added."""


class VectorStore(VectorSource):
    """Vectors of one encoder, layer and pool, in a folder or a bucket.

    A commit writes a shard (a `.npy` file, which any tool can map, and the ids as parquet) and then a new manifest that
    lists all shards so far. Each number of a manifest can be taken once only: a writer that comes second tries again on
    top of the other commit, and no lock can be left behind by a crash. A killed writer leaves the state before its
    commit, and unlisted files, which are never read.

    Opening checks the hash of the manifest and the size of every file; ids are checked on first use. Vectors are
    memory-mapped, or read in ranges from a bucket, and only requested rows are read. `verify` compares all checksums,
    which reads everything. An open store shows the state at the time of opening until it appends.

    Rows are named either by ids (`append`) or by hashes of audio (`commit`). In the second case, tables of tracks in
    the same manifest assign audio to tracks, and several tracks may share a row.
    """

    def __init__(self, path: Path, manifest: Manifest) -> None:
        self.path, self.name = path, str(path)
        self._place = place_of(path)
        self._manifest = manifest
        self._tables: dict[str, pl.DataFrame] = {}

    @classmethod
    def create(cls, path: Path | str, info: StoreInfo) -> VectorStore:
        """Create an empty store in a new folder. Raises StoreError if a store exists."""
        folder = location(path)
        created = info.created or datetime.now(UTC).isoformat(timespec="seconds")
        manifest = Manifest(replace(info, created=created))
        try:
            place_of(folder).prepare()
        except OSError as error:
            raise StoreError(f"cannot create {folder}: {error.strerror}", fix="Choose another path.") from error
        if not publish(folder, manifest):
            raise StoreError(f"there is a vector store at {folder} already", fix="Open it, or choose another path.")
        return cls(folder, manifest)

    @classmethod
    def open(cls, path: Path | str, expect: StoreInfo | None = None) -> VectorStore:
        """Open the newest state of a store. Raises StoreError if it is damaged or not as expected."""
        folder = location(path)
        manifest = newest(folder)
        if expect and (differences := manifest.info.differences(expect)):
            raise StoreError(
                f"the vector store at {folder} is of another kind: {'; '.join(differences)}",
                fix="Choose a matching store, or another folder to encode the tracks again.",
            )
        sizes = place_of(folder).sizes([file.name for file in manifest.files])
        _refuse_damaged(folder, [file for file in manifest.files if sizes.get(file.name) != file.bytes])
        return cls(folder, manifest)

    @property
    def info(self) -> StoreInfo:
        """Description of the vectors."""
        return self._manifest.info

    @property
    def track_ids(self) -> str:
        """Kind of the ids of tracks (see `Manifest`); empty if unknown."""
        return self._manifest.track_ids

    @property
    def dim(self) -> int:
        """Number of dimensions."""
        return self.info.dim

    @property
    def zeros(self) -> int:
        """Number of tracks with zero vectors."""
        zeros = sum(shard.zeros for shard in self._manifest.shards)
        if not zeros or not self._manifest.tracks:
            return zeros
        return int((~self.aligned(self.ids).any(axis=1)).sum())  # a row may belong to no track or several

    @cached_property
    def digest(self) -> str:
        """Hash of the description without `created`, every shard, and the audio of every track.

        The order of the commits does not change it.
        """
        if not self._manifest.tracks:
            return self._manifest.digest
        whose = self.tracks.select("id", "audio").sort("id").write_ndjson()
        return hashlib.sha256((replace(self._manifest, tracks=(), track_ids="").digest + whose).encode()).hexdigest()

    @cached_property
    def tracks(self) -> pl.DataFrame:
        """Table with a row per track (see `TRACKS`); empty for a store with rows named by ids."""
        changes = [pl.DataFrame(schema=TRACKS), *map(self._table_of, self._manifest.tracks)]
        last = pl.concat(changes, how="diagonal").unique("id", keep="last", maintain_order=True)
        return last.filter(pl.col("audio").is_not_null())

    @cached_property
    def audio(self) -> frozenset[str]:
        """Names of the rows: hashes of audio, or ids."""
        return frozenset(self._ids_in(self._manifest))

    @property
    def speed(self) -> Speed | None:
        """The speed of the encoder, measured while this store was filled; None for other stores."""
        return speed_of(self.path)

    def audio_of(self, ids: pl.Series) -> pl.Series | None:
        """The hash of each id's decoded audio, null where unknown; None for a store with rows named by ids."""
        if not self._manifest.tracks:
            return None
        known = self.tracks.select("id", "audio")
        return ids.cast(pl.String).to_frame("id").join(known, on="id", how="left", maintain_order="left")["audio"]

    def __len__(self) -> int:
        return len(self.tracks) if self._manifest.tracks else super().__len__()

    def append(self, ids: Ids, vectors: Array) -> None:
        """Commit (n, dim) vectors under n new ids, all or none; without vectors, do nothing.

        Safe beside other writers. Raises DataError for null or repeated ids and for vectors of another shape or not
        finite in the store's dtype, and StoreError if the store already has one of the ids, even with an equal vector.
        """
        if self._manifest.tracks:
            raise StoreError(f"{self.name} holds vectors by their audio, not by ids", fix="Make a store of their own.")
        ids, vectors = distinct_ids(ids, self.name), np.asanyarray(vectors)
        if len(ids) or len(vectors):
            self._publish(ids, vectors)

    def commit(self, changes: pl.DataFrame, audio: Ids, vectors: Array, ids: str = "") -> None:
        """Commit changes of tracks, and (n, dim) vectors under n new hashes of audio, all or none.

        `changes` is a table like `TRACKS`; a null `audio` removes the track's vector. `ids` is the kind of the ids (see
        `Manifest`). Raises DataError like `append`, and StoreError if the store already has one of the hashes, or has
        rows named by ids.
        """
        if self._manifest.shards and not self._manifest.tracks:
            raise StoreError(
                f"{self.name} holds vectors by ids, without the audio they belong to",
                fix="Choose another folder, or delete it and encode the tracks again.",
            )
        table = self._write_table(changes.match_to_schema(TRACKS))
        self._publish(distinct_ids(audio, self.name), np.asanyarray(vectors), table, ids=ids)

    def _publish(self, names: pl.Series, vectors: Array, *tables: File, ids: str = "") -> None:
        """Write vectors under new names, and commit them with tables of tracks."""
        if vectors.ndim == 2 and vectors.shape[1] != self.dim:
            raise DataError(f"{self.name}: the store's vectors have {self.dim} dimensions, these {vectors.shape[1]}")
        shards = []
        if len(names) or len(vectors):
            zeros = count_zeros(vectors, names, self.info.dtype, self.name)
            self._newest_without(names)
            shards = [Shard(len(names), zeros, self._write_vectors(vectors), self._write_table(names.to_frame()))]
        base = self._newest_without(names)
        while not publish(self.path, base.plus(*shards, tracks=tables, ids=ids)):
            base = self._newest_without(names)
        self._manifest = base.plus(*shards, tracks=tables, ids=ids)
        for name in ("_vocabulary", "_row_of", "tracks", "audio", "digest"):
            self.__dict__.pop(name, None)

    def verify(self) -> None:
        """Read all files, and raise StoreError if a checksum is wrong."""
        _refuse_damaged(self.path, [file for file in self._manifest.files if not _is_intact(self._place, file)])

    @cached_property
    def _vocabulary(self) -> Vocabulary:
        return Vocabulary(self.tracks["id"] if self._manifest.tracks else self._ids_in(self._manifest))

    @cached_property
    def _row_of(self) -> Int[Array, "n"]:
        """Row of each track."""
        return np.append(Vocabulary(self._ids_in(self._manifest)).rows(self.tracks["audio"]), -1)

    def _rows(self, ids: pl.Series) -> Int[Array, "n"]:
        places = super()._rows(ids)
        return self._row_of[places] if self._manifest.tracks else places

    @property
    def _part_rows(self) -> list[int]:
        return [shard.rows for shard in self._manifest.shards]

    def _part(self, number: int) -> Rows:
        """Map the vectors of a shard. The map is not kept, since each holds a file handle."""
        shard = self._manifest.shards[number]
        dtype = np.dtype(self.info.dtype).newbyteorder("<").str
        try:
            return self._place.array(shard.vectors, dtype, (shard.rows, self.dim))
        except (OSError, ValueError) as error:
            raise _damaged(self.path, [shard.vectors]) from error

    def _ids_in(self, manifest: Manifest) -> pl.Series:
        """All names of rows, in the order of the commits."""
        return pl.concat([pl.Series("id", [], dtype=pl.String), *map(self._ids_of, manifest.shards)])

    def _ids_of(self, shard: Shard) -> pl.Series:
        return self._table_of(shard.ids)["id"]

    def _table_of(self, file: File) -> pl.DataFrame:
        """Return a table of the store, read and checked once."""
        if file.name not in self._tables:
            try:
                content = self._place.read(file.name)
            except OSError as error:
                raise _damaged(self.path, [file]) from error
            if hashlib.sha256(content).hexdigest() != file.sha256:
                raise _damaged(self.path, [file])
            self._tables[file.name] = pl.read_parquet(io.BytesIO(content))
        return self._tables[file.name]

    def _newest_without(self, ids: pl.Series) -> Manifest:
        """Return the newest state. Raises StoreError if it has one of these ids."""
        manifest = newest(self.path)
        known = ids.to_frame().join(self._ids_in(manifest).to_frame(), on="id", how="semi")["id"]
        if len(known):
            raise KnownError(
                f"{self.name}: some of these ids are in the store already",
                count=len(known),
                example=known[0],
                fix="Append new ids only; `has` shows the known ones.",
            )
        return manifest

    def _write_vectors(self, vectors: Array) -> File:
        return self._place.add(".npy", _npy(vectors, self.info.dtype))

    def _write_table(self, table: pl.DataFrame) -> File:
        content = io.BytesIO()
        table.write_parquet(content)
        return self._place.add(".parquet", [content.getbuffer()])


def _npy(vectors: Array, dtype: str) -> Iterator[bytes | memoryview]:
    """Yield the bytes of a `.npy` file, a block at a time."""
    header = io.BytesIO()
    facts = {"descr": np.dtype(dtype).newbyteorder("<").str, "fortran_order": False, "shape": vectors.shape}
    np.lib.format.write_array_header_1_0(header, facts)
    yield header.getvalue()
    for _, block in blocks(vectors, dtype):
        yield block.reshape(-1).view(np.uint8).data


def _is_intact(place: Place, file: File) -> bool:
    """Whether the checksum is right; reads the whole file."""
    try:
        return place.sha256(file.name) == file.sha256
    except PlaceError:
        raise
    except OSError:
        return False


def _refuse_damaged(folder: Path, files: list[File]) -> None:
    if files:
        raise _damaged(folder, files)


def _damaged(folder: Path, files: list[File]) -> StoreError:
    return StoreError(
        f"the vector store at {folder} has files that are missing or not as they were written",
        count=len(files),
        example=files[0].name,
        fix="Copy these files again, or encode the tracks again.",
    )
