"""New first: a random order with all new tracks in front, a baseline of mixed lists."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch

from timbrec.protocols import Content, Recommender, Scorer, Workspace
from timbrec.recommenders.random import RandomScorer
from timbrec.types import Array, Bool, Int

if TYPE_CHECKING:
    from timbrec.data.interactions import Interactions
    from timbrec.data.split import Fold
    from timbrec.protocols import BoundScorer

_BEHIND = 2.0**24  # scores of Random are integers below it, so the difference is exact in float32


@dataclass(frozen=True)
class NewFirst(Recommender):
    """Ranks new tracks first, in random order, then the others in random order.

    In mixed lists a new candidate has several times as many test pairs as an old one, so this order beats Random
    there without any knowledge of users or content. Hot and cold lists are in random order.
    """

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
    ) -> NewFirstScorer:
        """A scorer with a seed from `rng`; tracks without train plays are new."""
        return NewFirstScorer(RandomScorer(int(rng.integers(2**31))), train.item_users == 0)


@dataclass(frozen=True, eq=False)
class NewFirstScorer(Scorer):
    """Random scores, lowered by a constant for items that are not `new` (items,)."""

    random: RandomScorer
    new: Bool[Array, "items"]

    def bind(self, items: Int[Array, "n"], device: torch.device) -> BoundScorer:
        """A function that scores these items for a block of users."""
        score = self.random.bind(items, device)
        behind = torch.from_numpy(~self.new[items] * np.float32(_BEHIND)).to(device)

        def score_new_first(rows: Int[Array, "u"], out: torch.Tensor) -> None:
            score(rows, out)
            out -= behind

        return score_new_first
