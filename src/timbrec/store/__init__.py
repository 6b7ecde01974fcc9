"""Vectors of tracks on disk: immutable files, atomic commits, access by id."""

from timbrec.store.journal import Entry
from timbrec.store.manifest import StoreInfo
from timbrec.store.source import VectorSource
from timbrec.store.subset import Subset
from timbrec.store.track_store import TrackStore
from timbrec.store.vector_store import VectorStore

__all__ = ["Entry", "StoreInfo", "Subset", "TrackStore", "VectorSource", "VectorStore"]
