"""Simultaneous intervals: the intervals of a family of contrasts contain all true values in 95 % of tests.

The critical value comes from the largest of all the family's statistics (max-T): its quantile under the normal
distribution with the estimated covariance, which respects how the contrasts depend on each other, is turned into a
probability, and each contrast takes Student's t quantile of that probability with its own degrees of freedom. This is
a little wider than a multivariate t distribution with one common denominator, which is too narrow for few items, as
each contrast's variance is estimated anew.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from timbrec.statistics.intervals import Interval, clipped
from timbrec.statistics.spread import Spread, chunks
from timbrec.types import Array, Float

LEVEL = 0.95
DRAWS = 10_000
POWER = 0.8


@dataclass(frozen=True, eq=False)
class Family:
    """Contrasts with standard errors and two critical values: for a single contrast, and for the family at once.

    All arrays are (contrasts,). Standard errors and critical values are NaN where lines cannot be told apart.
    """

    values: Float[Array, "contrasts"]
    standard_errors: Float[Array, "contrasts"]
    degrees: Float[Array, "contrasts"]
    single: Float[Array, "contrasts"]
    simultaneous: Float[Array, "contrasts"]

    def intervals(self, simultaneous: bool = True) -> tuple[Interval, ...]:
        """The 95 % interval of each contrast, clipped to [-1, 1]; each by itself unless `simultaneous`."""
        half_widths = (self.simultaneous if simultaneous else self.single) * self.standard_errors
        limits = zip(self.values.tolist(), half_widths.tolist(), strict=True)
        return tuple(clipped(value, half_width, -1.0, 1.0) for value, half_width in limits)

    def differ(self) -> Float[Array, "contrasts"]:
        """The sign of each contrast, or 0 where its simultaneous interval contains 0."""
        outside = np.abs(self.values) > self.simultaneous * self.standard_errors
        return np.where(outside, np.sign(self.values), 0.0)

    @property
    def detectable(self) -> float:
        """The smallest true contrast that would be found with a probability of 80 %; NaN for an empty family."""
        return float(np.median(self.detectables)) if len(self.values) else float("nan")

    @property
    def detectables(self) -> Float[Array, "contrasts"]:
        """For each contrast, the smallest true value that would be found with a probability of 80 %."""
        from scipy.stats import norm

        return np.asarray((self.simultaneous + norm.ppf(POWER)) * self.standard_errors)


def family(
    values: Float[Array, "lines"], spread: Spread, contrasts: Float[Array, "contrasts lines"], draws: int = DRAWS,
    seed: int = 0,
) -> Family:  # fmt: skip
    """The contrasts (rows of weights of the lines) as one family, at a level of 95 %.

    A family of one contrast has Student's t quantile; larger ones take `draws` random draws.
    """
    from scipy.stats import norm, t

    errors = spread.errors(contrasts)
    single = np.asarray(t.ppf((1 + LEVEL) / 2, errors.degrees))
    if len(contrasts) < 2:
        return Family(contrasts @ values, errors.standard, errors.degrees, single, single)
    outside = float(norm.sf(_largest(spread, contrasts, draws, seed)))
    simultaneous = np.asarray(t.isf(min(outside, (1 - LEVEL) / 2), errors.degrees))
    return Family(contrasts @ values, errors.standard, errors.degrees, single, simultaneous)


def _largest(spread: Spread, contrasts: Float[Array, "contrasts lines"], draws: int, seed: int) -> float:
    """The quantile of the largest standardised contrast, in absolute value, if all true contrasts are 0."""
    sizes, directions = np.linalg.eigh(spread.covariance)
    noise = np.random.default_rng(seed).standard_normal((draws, len(sizes)))
    noise = noise @ (directions * np.sqrt(sizes.clip(min=0))).T
    smallest = 1e-9 * np.sqrt(spread.covariance.max(initial=0.0))  # contrasts of identical lines do not vary
    largest = np.zeros(draws)
    for chunk in chunks(len(contrasts)):
        own = np.sqrt((((contrasts[chunk] @ spread.covariance) * contrasts[chunk]).sum(1)).clip(min=0))
        varying = contrasts[chunk][own > smallest] / own[own > smallest, None]
        largest = np.maximum(largest, np.abs(noise @ varying.T).max(1, initial=0.0))
    return float(np.quantile(largest, LEVEL))
