"""A second implementation of popularity and EASE: by definition, from the pairs of train."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from timbrec.audit.audited import Audited
from timbrec.study.experiment import Experiment
from timbrec.types import Array, Float, Int


@dataclass(frozen=True, eq=False)
class Counted:
    """The scores of a popularity cell: the number of users of each track."""

    audited: Audited
    experiment: Experiment

    def scores(self, user: int, items: Int[Array, "n"]) -> Float[Array, "n"]:
        """The scores of these items, alike for all users."""
        train = self.audited.run.split.test.train
        pairs = np.unique(np.stack([train.user, train.item]), axis=1)
        return np.bincount(pairs[1], minlength=train.n_items)[items].astype(np.float64)


@dataclass(frozen=True, eq=False)
class Linear:
    """The scores of an EASE cell: each train item is regressed on all others (Steck 2019, equation 8)."""

    audited: Audited
    experiment: Experiment

    def scores(self, user: int, items: Int[Array, "n"]) -> Float[Array, "n"]:
        """The scores of these items for a user row: the sum of the weights of the tracks the user played."""
        train = self.audited.run.split.test.train
        played = train.item[train.user == user]
        rows, columns = (np.searchsorted(train.items, part) for part in (played, items))
        return np.asarray(self.weights[np.ix_(rows, columns)].sum(0))

    @cached_property
    def weights(self) -> Float[Array, "columns columns"]:
        """The regression weights; the diagonal is 0."""
        train = self.audited.run.split.test.train
        plays = np.zeros((train.n_users, len(train.items)))
        plays[train.user, np.searchsorted(train.items, train.item)] = 1
        gram = plays.T @ plays + self.experiment.settings["l2"] * np.eye(len(train.items))
        inverse = np.linalg.inv(gram)
        weights = -inverse / np.diag(inverse)
        weights[np.diag_indices_from(weights)] = 0
        return np.asarray(weights)
