"""Data sets in their official layouts: one file each, events, items and vectors out."""

from timbrec.datasets.shared.base import Dataset

__all__ = ["Dataset"]
