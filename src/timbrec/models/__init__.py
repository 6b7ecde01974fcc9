"""Models: fitted recommenders with the ids they know, to be asked, extended, saved and loaded."""

from timbrec.models.model import Model
from timbrec.models.training import fit

__all__ = ["Model", "fit"]
