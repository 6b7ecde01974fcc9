"""Popularity: the same list for every user, ordered by the number of listeners."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from timbrec.protocols import Content, Recommender, Workspace
from timbrec.ranking.scorers import DotScorer

if TYPE_CHECKING:
    from timbrec.data.interactions import Interactions
    from timbrec.data.split import Fold


@dataclass(frozen=True)
class Popularity(Recommender):
    """Score = number of users who played the item in train. Cold items cannot be ranked."""

    uses_content: ClassVar[bool] = False
    baseline: ClassVar[bool] = True

    def fit(
        self,
        train: Interactions,
        content: Content,
        validation: Fold | None,
        rng: np.random.Generator,
        workspace: Workspace = Workspace(),
    ) -> DotScorer:
        """A scorer with the number of users of each item."""
        counts = train.item_users.astype(np.float32)[:, None]
        return DotScorer(np.ones((train.n_users, 1), np.float32), counts, can_rank_cold=False)
