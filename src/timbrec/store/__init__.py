"""Vectors of tracks on disk: written once, committed atomically, read by id alone."""

from timbrec.store.manifest import StoreInfo
from timbrec.store.source import VectorSource
from timbrec.store.vector_store import VectorStore

__all__ = ["StoreInfo", "VectorSource", "VectorStore"]
