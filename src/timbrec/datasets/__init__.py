"""Published data sets in their official layouts: logs, items tables and vectors, a file per data set."""

from timbrec.datasets.shared.base import Dataset

__all__ = ["Dataset"]
