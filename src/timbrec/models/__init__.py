"""Models: fitted recommenders with their vocabularies, which recommend, take new items, and are saved and loaded."""

from timbrec.models.model import Model
from timbrec.models.training import fit

__all__ = ["Model", "fit"]
