"""Random order: what chance looks like, list by list."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch

from timbrec.protocols import Content, Recommender, Scorer, Workspace
from timbrec.types import Array, Int

if TYPE_CHECKING:
    from timbrec.data.interactions import Interactions
    from timbrec.data.split import Fold
    from timbrec.protocols import BoundScorer


@dataclass(frozen=True)
class Random(Recommender):
    """Every user gets the candidates in an own random order, the same whenever and beside whomever it is asked."""

    uses_content: ClassVar[bool] = False
    deterministic: ClassVar[bool] = False
    baseline: ClassVar[bool] = True

    def fit(
        self,
        train: Interactions,
        content: Content,
        validation: Fold | None,
        rng: np.random.Generator,
        workspace: Workspace = Workspace(),
    ) -> RandomScorer:
        """Draw the seed."""
        return RandomScorer(int(rng.integers(2**31)))


@dataclass(frozen=True)
class RandomScorer(Scorer):
    """Score = a hash of seed, user and item: pure, and independent between pairs for all a list can tell."""

    seed: int

    def bind(self, items: Int[Array, "n"], device: torch.device) -> BoundScorer:
        """Hash the items once; each call mixes them with its users."""
        columns = _mixed(torch.from_numpy(items).to(device) + (self.seed << 24))

        def score(rows: Int[Array, "u"], out: torch.Tensor) -> None:
            users = _mixed(torch.from_numpy(rows).to(device) - (self.seed << 20))
            for place, user in enumerate(users.split(32)):  # int64 temporaries of a few rows stay in the cache
                mixed = _mixed(columns ^ user[:, None])
                out[place * 32 : place * 32 + len(user)] = (mixed >> 40).float()  # 24 bits fit a float32 exactly

        return score


def _mixed(values: torch.Tensor) -> torch.Tensor:
    """The finaliser of SplitMix64 (Steele et al. 2014), on signed integers that wrap."""
    values = (values ^ (values >> 30)) * -4658895280553007687
    values = (values ^ (values >> 27)) * -7723592293110705685
    return values ^ (values >> 31)
