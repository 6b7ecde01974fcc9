"""EASE: a linear item-to-item model in closed form (Steck 2019)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch

from timbrec.errors import ConfigError
from timbrec.protocols import Content, Recommender, Scorer, Workspace
from timbrec.settings import Count, Positive
from timbrec.types import Array, Float32, Int

if TYPE_CHECKING:
    from scipy.sparse import csr_array

    from timbrec.data.interactions import Interactions
    from timbrec.data.split import Fold
    from timbrec.protocols import BoundScorer


@dataclass(frozen=True)
class EASE(Recommender):
    """Score = xB, where B minimises |X - XB|^2 + l2 |B|^2 with a zero diagonal.

    The solution is B = I - P / diag(P) with P = (X^T X + l2 I)^-1. B has (train items)^2 entries; more than `max_items`
    train items are refused. EASE reads interactions only, so it cannot rank cold items: it is a reference for
    collaborative filtering in hot start.
    """

    version: ClassVar[int] = 2
    uses_content: ClassVar[bool] = False
    baseline: ClassVar[bool] = True

    l2: Positive = 200.0
    max_items: Count = 20_000

    def memory(self, n_users: int, n_items: int, dim: int) -> int:
        """Three float64 matrices over items: the Gram matrix, its factors and its inverse."""
        return 3 * 8 * min(n_items, self.max_items) ** 2

    def fit(
        self,
        train: Interactions,
        content: Content,
        validation: Fold | None,
        rng: np.random.Generator,
        workspace: Workspace = Workspace(),
    ) -> EASEScorer:
        """A scorer with B, computed in float64. Raises ConfigError for more than `max_items` train items."""
        columns = train.items
        if len(columns) > self.max_items:
            raise ConfigError(
                f"EASE over {len(columns):,} items would take {3 * 8 * len(columns) ** 2 / 2**30:,.0f} GiB",
                fix=f"The limit is {self.max_items:,} items. Raise `max_items` if memory allows, or use ELSA.",
            )
        return EASEScorer(_weights(train.csr()[:, columns].astype(np.float64), self.l2), columns, train)


def _weights(x: csr_array, l2: float) -> Float32[Array, "columns columns"]:
    """B as float32. At most three float64 matrices exist at a time: the Gram matrix, its factors and its inverse."""
    gram = (x.T @ x).toarray()
    gram[np.diag_indices_from(gram)] += l2
    inverse = torch.linalg.inv(torch.from_numpy(gram)).numpy()
    del gram
    inverse /= -np.diag(inverse)
    weights = inverse.astype(np.float32)
    np.fill_diagonal(weights, 0)
    return weights


@dataclass(frozen=True, eq=False)
class EASEScorer(Scorer):
    """Scores xB: `weights` (columns, columns) is B, `columns` are its item rows, `histories` the train part."""

    weights: Float32[Array, "columns columns"]
    columns: Int[Array, "columns"]
    histories: Interactions
    can_rank_cold = False

    def bind(self, items: Int[Array, "n"], device: torch.device) -> BoundScorer:
        """A function that scores these items for a block of users: it sums the rows of B of each user's items."""
        from timbrec.recommenders.shared.sparse import row_sums

        column_of = np.full(self.histories.n_items, -1)
        column_of[self.columns] = np.arange(len(self.columns))
        weights = torch.from_numpy(self.weights[:, column_of[items]]).to(device)

        def score(rows: Int[Array, "u"], out: torch.Tensor) -> None:
            starts = np.concatenate([[0], np.cumsum(self.histories.user_items[rows])])
            played = column_of[self.histories.of_users(rows)[1]]
            out.copy_(row_sums(torch.from_numpy(starts).to(device), torch.from_numpy(played).to(device), weights))

        return score
