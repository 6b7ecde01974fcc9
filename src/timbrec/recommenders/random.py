"""Random: an independent random order for every user, the chance level of every metric."""

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
    """Score = a random number of the pair (user, item), independent of other users and candidates."""

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
        """A scorer with a seed from `rng`."""
        return RandomScorer(int(rng.integers(2**31)))


@dataclass(frozen=True)
class RandomScorer(Scorer):
    """Score = a hash of seed, user and item, statistically independent between pairs."""

    seed: int

    def bind(self, items: Int[Array, "n"], device: torch.device) -> BoundScorer:
        """A function that scores these items for a block of users. Items are hashed once."""
        item_hash = _hash(torch.from_numpy(items).to(device) + (self.seed << 24))

        def score(rows: Int[Array, "u"], out: torch.Tensor) -> None:
            user_hash = _hash(torch.from_numpy(rows).to(device) - (self.seed << 20))
            for block, users in enumerate(user_hash.split(32)):  # int64 temporaries of a few rows stay in the cache
                pair_hash = _hash(item_hash ^ users[:, None])
                out[block * 32 : block * 32 + len(users)] = (pair_hash >> 40).float()  # 24 bits fit a float32 exactly

        return score


def _hash(values: torch.Tensor) -> torch.Tensor:
    """The finaliser of SplitMix64 (Steele et al. 2014), on signed integers that wrap."""
    values = (values ^ (values >> 30)) * -4658895280553007687
    values = (values ^ (values >> 27)) * -7723592293110705685
    return values ^ (values >> 31)
