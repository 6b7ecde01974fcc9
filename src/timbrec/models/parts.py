"""The fitted parts behind a model's answers, and the index made of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from timbrec.data.interactions import Interactions
from timbrec.models.index import Index
from timbrec.protocols import Scorer
from timbrec.ranking.scorers import DotScorer
from timbrec.types import Array, Float32


@dataclass(frozen=True, eq=False)
class Parts:
    """The parts beyond the index: the fitted scorer, the transforms of the representation, and later tracks.

    `steps` are in order. `added` (m, out) is the content of tracks that came after the fit.
    """

    fitted: Scorer
    steps: tuple[Any, ...] = ()
    added: Float32[Array, "m out"] | None = None

    @cached_property
    def scorer(self) -> Scorer:
        """The scorer with the later tracks; made when it is needed, because it copies all vectors."""
        return self.fitted if self.added is None else self.fitted.add_items(self.added)

    def plus(self, content: Float32[Array, "n out"]) -> Parts:
        """The parts with further tracks."""
        return replace(self, added=content if self.added is None else np.concatenate([self.added, content]))


def index_of(scorer: Scorer, played: Interactions) -> Index | None:
    """The vectors of a scorer's lists of all items it can rank; None if it does not score by inner products."""
    candidates = np.arange(played.n_items) if scorer.can_rank_cold else played.items
    served = scorer.among(candidates)
    return Index.of(served.users, served.items) if isinstance(served, DotScorer) else None


def grown_index(
    index: Index | None,
    content: Float32[Array, "n out"],
    grown: Callable[[], Parts],
    played: Interactions,
    *,
    varies: bool,
) -> Index | None:
    """The index with new items; for most recommenders without copying the vectors of all others.

    `grown` returns the parts with the items, `varies` says whether lists are scored in several ways.
    """
    embedded = getattr(grown().fitted, "embedded", None)
    if index is None or varies or embedded is None:
        return index_of(grown().scorer, played)
    return index.plus(embedded(content))
