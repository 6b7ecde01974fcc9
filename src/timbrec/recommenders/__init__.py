"""Recommenders: one file each, a frozen record of hyperparameters whose `fit` returns a scorer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from timbrec import catalog

if TYPE_CHECKING:
    from timbrec.protocols import Recommender


def recommender(name: str, settings: Mapping[str, Any], budget: str = "full") -> Recommender:
    """The recommender of the catalogue called `name`, with these settings.

    A setting `preset` names the settings to start from instead of the defaults, as in `Recommender.preset`. Without
    it, a `budget` of `quick` starts from the preset `quick`. Raises ConfigError for a name, a preset or a setting that
    does not exist, and for a value that a setting does not accept.
    """
    kind: type[Recommender] = catalog.load("recommenders", name)
    changes = {"preset": "quick" if budget == "quick" else "corrected"} | dict(settings)
    return kind.preset(changes.pop("preset"), **changes)
