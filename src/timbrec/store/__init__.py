"""Vectors of tracks on disk: written once, committed atomically, read by id alone."""

from timbrec.store.journal import Entry
from timbrec.store.manifest import StoreInfo
from timbrec.store.source import VectorSource
from timbrec.store.track_store import TrackStore
from timbrec.store.vector_store import VectorStore

__all__ = ["Entry", "StoreInfo", "TrackStore", "VectorSource", "VectorStore"]
