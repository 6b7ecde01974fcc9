"""Listening histories of people: reading exports, and matching their plays to tracks."""

from timbrec.histories.library import library, read_catalogue
from timbrec.histories.matching import Matched, match
from timbrec.histories.reading import History, load_history, read_history

__all__ = ["History", "Matched", "library", "load_history", "match", "read_catalogue", "read_history"]
