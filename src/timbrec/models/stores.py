"""The encoders' vectors inside a model's folder, a store per encoder."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from timbrec.errors import DataError
from timbrec.types import Array

if TYPE_CHECKING:
    from timbrec.store import VectorSource
    from timbrec.store.vector_store import VectorStore


def write_stores(folder: Path, present: Path, stores: Mapping[str, VectorSource], tracks: pl.Series) -> None:
    """Write a store per encoder for these tracks; stores below `present` are linked instead."""
    for name, source in stores.items():
        if any((present / name).glob("manifest-*.json")):
            shutil.copytree(present / name, folder / name, copy_function=_link)
        else:
            _write(folder / name, name, source, tracks)


def read_stores(folder: Path) -> dict[str, VectorSource]:
    """The stores of a folder by encoder. Raises StoreError for a damaged one."""
    from timbrec.store import VectorStore

    return {path.name: VectorStore.open(path) for path in sorted(folder.glob("*")) if path.is_dir()}


def whole_store(source: VectorSource) -> VectorStore | None:
    """The store of encoded audio that a source is, or is a part of; None for other vectors."""
    from timbrec.store import Subset, VectorStore

    store = source.whole if isinstance(source, Subset) else source
    return store if isinstance(store, VectorStore) and not store.tracks.is_empty() else None


def _write(folder: Path, name: str, source: VectorSource, tracks: pl.Series) -> None:
    """A store of a source's vectors; with the audio that each track has, where the source knows it."""
    from timbrec.store import StoreInfo, VectorStore

    present = tracks.filter(source.has(tracks))
    encoded = whole_store(source)
    if encoded is None:
        about = StoreInfo(name, source.digest[:16], None, "given", "given", "given", source.dim)
        VectorStore.create(folder, about).append(present, source.aligned(present))
        return
    table = encoded.tracks.filter(pl.col("id").is_in(present.to_list()))
    first = table.unique("audio", keep="first", maintain_order=True)
    store = VectorStore.create(folder, encoded.info)
    store.commit(table, first["audio"], encoded.aligned(first["id"]), encoded.track_ids)


def _link(source: str, target: str) -> str:
    """A hard link where the file system has them, else a copy; files of stores never change."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
    return target


def check_new(ids: Sequence[str], vectors: Array, stores: Mapping[str, VectorSource], card: Mapping[str, Any]) -> None:
    """Raises DataError unless new vectors have an id each, are finite, and as long as those of the model's encoders."""
    from timbrec.store.vectors import Vectors

    new = Vectors(ids, vectors, "the new vectors")  # which checks them
    encoders = [source["encoder"] for source in (card.get("representation") or {}).get("sources", ())]
    if encoders and all(name in stores for name in encoders):
        expected = sum(stores[name].dim for name in encoders)
        if new.dim != expected:
            raise DataError(f"the new vectors have {new.dim} dimensions, those of the model {expected}",
                            fix="Encode the new tracks as the others.")  # fmt: skip
