"""The winner's curse: the largest of several estimates is too large on average.

The size of the effect is found by a parametric bootstrap: lines that are tied with the best get true values as spread
out as the data suggest (observed variance less the variance of noise), noise with the estimated covariance is added,
and the noise of the line that then comes first is averaged.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from timbrec.types import Array, Bool, Float


@dataclass(frozen=True)
class Winner:
    """The line with the largest value, its `value`, and `flattery`, the expected excess over its true value."""

    line: int
    value: float
    flattery: float

    @property
    def corrected(self) -> float:
        """The value less its flattery, at least 0."""
        return max(self.value - self.flattery, 0.0)


def winner(
    values: Float[Array, "lines"], covariance: Float[Array, "lines lines"], tied: Bool[Array, "lines"], draws: int,
    seed: int = 0,
) -> Winner:  # fmt: skip
    """The winner among estimates with a known covariance; `tied` marks the lines that are tied with the best."""
    line, group = int(np.nanargmax(values)), np.flatnonzero(tied)
    if len(group) < 2:
        return Winner(line, float(values[line]), 0.0)
    noise_covariance = covariance[np.ix_(group, group)]
    centred = values[group] - values[group].mean()
    noise = (np.trace(noise_covariance) - noise_covariance.mean() * len(group)) / (len(group) - 1)
    observed = float((centred**2).sum()) / (len(group) - 1)
    true = centred * np.sqrt(max(0.0, 1 - noise / observed)) if observed > 0 else centred
    sizes, directions = np.linalg.eigh(noise_covariance)
    drawn = np.random.default_rng(seed).standard_normal((draws, len(group)))
    drawn = drawn @ (directions * np.sqrt(sizes.clip(min=0))).T
    first = (true + drawn).argmax(1)
    return Winner(line, float(values[line]), max(float(drawn[np.arange(draws), first].mean()), 0.0))
