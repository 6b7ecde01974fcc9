"""Importers of listening histories: a file per source of exports."""

from timbrec.importers.shared.base import Importer

__all__ = ["Importer"]
