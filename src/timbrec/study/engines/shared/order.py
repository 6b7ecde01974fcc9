"""The order in which cells run: those of untrained recommenders first, since they take seconds."""

from __future__ import annotations

from collections.abc import Sequence

from timbrec import catalog
from timbrec.study.experiment import Experiment


def cheap_first(experiments: Sequence[Experiment]) -> tuple[list[Experiment], list[Experiment]]:
    """The cells of untrained recommenders and those of trained ones, each in the given order."""
    trained = [experiment for experiment in experiments if is_trained(experiment)]
    return [experiment for experiment in experiments if not is_trained(experiment)], trained


def is_trained(experiment: Experiment) -> bool:
    """Whether the recommender of a cell is trained over epochs."""
    name = experiment.recommender
    return name in catalog.names("recommenders") and bool(catalog.load("recommenders", name).validates)
