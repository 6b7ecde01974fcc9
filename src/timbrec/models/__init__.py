"""Models: fitted recommenders with their tracks, which recommend, take new tracks, and are saved and loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from timbrec.models.model import Model as Model
    from timbrec.models.training import fit as fit

__all__ = ["Model", "fit"]


def __getattr__(name: str) -> Any:
    """Import `Model` or `fit` when it is first used: loading a model takes no PyTorch, fitting does."""
    if name == "Model":
        from timbrec.models.model import Model

        return Model
    if name == "fit":
        from timbrec.models.training import fit

        return fit
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
