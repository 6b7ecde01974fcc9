"""Recommenders: one file each, a frozen record of hyperparameters with a method `fit` that returns a scorer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from timbrec import catalog

if TYPE_CHECKING:
    from timbrec.protocols import Recommender


def recommender(name: str, settings: Mapping[str, Any], budget: str = "full") -> Recommender:
    """The catalogue's recommender `name` with the given settings.

    `preset` among the settings names the values to start from instead of the defaults, as in `Recommender.preset`.
    Without it, a `budget` of `quick` starts from the preset `quick`. Raises ConfigError for an unknown name, preset or
    setting, and for a value that a setting does not accept.
    """
    kind: type[Recommender] = catalog.load("recommenders", name)
    changes = {"preset": "quick" if budget == "quick" else "corrected"} | dict(settings)
    return kind.preset(changes.pop("preset"), **changes)
