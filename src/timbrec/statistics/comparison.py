"""Comparison of the lines of a scenario on one metric: intervals, differences, ties and the best line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from timbrec.errors import DataError
from timbrec.statistics.family import DRAWS, LEVEL, Family, family
from timbrec.statistics.influence import Influence
from timbrec.statistics.intervals import Interval, clipped
from timbrec.statistics.spread import Errors, Spread, all_pairs
from timbrec.statistics.winner import Winner, winner
from timbrec.types import Array, Bool, Float, Int

MIN_USERS = 6  # with fewer, even users who all agree would not be evidence at a level of 5 %: 2 / 2^5 > 0.05
MIN_ITEMS = 2  # effective items


@dataclass(frozen=True, eq=False)
class Comparison:
    """The values and differences of several lines on the same users and candidates, with intervals.

    `values` (lines,) are means over users and seeds, `users` (lines,) the numbers of users with a value. Differences of
    all pairs of lines are one family: their intervals hold all true differences at once in 95 % of tests. `reason` says
    why lines cannot be told apart at all (too few users or items); then intervals of differences are NaN, all lines are
    tied, and there is no best line.
    """

    values: Float[Array, "lines"]
    users: Int[Array, "lines"]
    spread: Spread
    reason: str | None = None
    draws: int = DRAWS

    @cached_property
    def _errors(self) -> Errors:
        return self.spread.errors(np.eye(len(self.values)))

    @property
    def standard_errors(self) -> Float[Array, "lines"]:
        """The standard error of each value over users, items and seeds."""
        return self._errors.standard

    @property
    def half_widths(self) -> Float[Array, "lines"]:
        """Half the width of each value's 95 % interval before clipping; NaN with fewer than two users."""
        from scipy.stats import t

        half_widths = t.ppf((1 + LEVEL) / 2, self._errors.degrees) * self.standard_errors
        return np.where(self.users < 2, np.nan, half_widths)

    @cached_property
    def intervals(self) -> tuple[Interval, ...]:
        """The 95 % interval of each value by itself, clipped to [0, 1]; NaN limits with fewer than two users."""
        limits = zip(self.values.tolist(), self.half_widths.tolist(), strict=True)
        return tuple(clipped(value, half_width, 0.0, 1.0) for value, half_width in limits)

    @cached_property
    def pairs(self) -> Family:
        """The differences first - second of all pairs of lines, in the order of `numpy.triu_indices(lines, 1)`."""
        first, second = all_pairs(len(self.values))
        unit = np.eye(len(self.values))
        return self.family(unit[first] - unit[second])

    def family(self, contrasts: Float[Array, "contrasts lines"]) -> Family:
        """Weighted sums of the lines (a row of weights each) as a family of their own."""
        if self.reason is None:
            return family(self.values, self.spread, contrasts, self.draws)
        unknown = np.full(len(contrasts), np.nan)
        return Family(contrasts @ self.values, unknown, unknown, unknown, unknown)

    def difference(self, first: int, second: int) -> Interval:
        """values[first] - values[second], its interval simultaneous over all pairs of lines and clipped to [-1, 1]."""
        if first == second:
            return Interval(0.0, 0.0, 0.0)
        interval = self.pairs.intervals()[self.place_of(first, second)]
        return interval if first < second else Interval(-interval.value, -interval.high, -interval.low)

    def place_of(self, first: int, second: int) -> int:
        """The place of a pair of different lines in `pairs`, in either order."""
        low, high = sorted((first, second))
        return int(np.ravel_multi_index((low, high), (len(self.values),) * 2)) - (low + 1) * (low + 2) // 2

    def contrast(self, weights: Float[Array, "lines"]) -> Interval:
        """A weighted sum of lines with its interval by itself: for one comparison that was planned beforehand."""
        return self.family(np.asarray(weights, float)[None]).intervals()[0]

    def mean_difference(self, first: Sequence[int], second: Sequence[int]) -> Interval:
        """The mean of the differences first[i] - second[i], such as one encoder's minus another's over recommenders."""
        if not first or len(first) != len(second):
            raise DataError("a mean difference needs two lists of lines of the same length, at least one")
        unit = np.eye(len(self.values))
        return self.contrast(unit[list(first)].mean(0) - unit[list(second)].mean(0))

    @cached_property
    def tied(self) -> Bool[Array, "lines"]:
        """Lines that are tied with the best: no other line is better by more than the simultaneous interval allows."""
        behind = np.zeros(len(self.values), bool)
        if self.reason is None and len(self.values) > 1:
            first, second = all_pairs(len(self.values))
            signs = self.pairs.differ()
            behind[second[signs > 0]] = True
            behind[first[signs < 0]] = True
        return ~behind

    @property
    def best(self) -> int | None:
        """The line that is better than all others; None where several are tied, for one line, or with a `reason`."""
        alone = np.flatnonzero(self.tied)
        return int(alone[0]) if self.reason is None and len(alone) == 1 and len(self.values) > 1 else None

    @property
    def smallest_detectable(self) -> float:
        """The difference between two typical lines that would be found with a probability of 80 %; NaN if unknown."""
        return self.pairs.detectable

    def against(self, reference: int) -> tuple[Interval, ...]:
        """Each line minus the reference line, in order, as a family of its own (many to one); 0 for the reference."""
        others = [line for line in range(len(self.values)) if line != reference]
        unit = np.eye(len(self.values))
        intervals = iter(self.family(unit[others] - unit[reference]).intervals())
        zero = Interval(0.0, 0.0, 0.0)
        return tuple(zero if line == reference else next(intervals) for line in range(len(self.values)))

    def gains(self, controls: Sequence[tuple[int, int]]) -> tuple[Interval, ...]:
        """line - control for each (line, control): a family of its own, such as gains over shuffled vectors."""
        unit = np.eye(len(self.values))
        return self.family(np.stack([unit[line] - unit[control] for line, control in controls])).intervals()

    def among(self, lines: Sequence[int]) -> Comparison:
        """The comparison of some of the lines: families then have fewer members."""
        index = list(lines)
        return replace(self, values=self.values[index], users=self.users[index], spread=self.spread.among(lines))

    @cached_property
    def winner(self) -> Winner:
        """The line with the largest value, and by how much being the largest flatters it."""
        return winner(self.values, self.spread.covariance, self.tied, self.draws)


def compare(
    influences: Sequence[Influence], recommenders: Sequence[str] | None = None, draws: int = DRAWS
) -> Comparison:
    """Compare lines by their influences, which must come from the same task and metric.

    Lines with the same name in `recommenders` (one per line) share one estimate of the variance over seeds, which two
    or three seeds of a line alone leave almost unknown. Raises DataError without lines, or for lines with different
    users or candidates.
    """
    if not influences:
        raise DataError("there are no lines to compare")
    shapes = {(len(line.users), None if line.items is None else len(line.items)) for line in influences}
    if len({users for users, _ in shapes}) > 1 or len({items for _, items in shapes if items is not None}) > 1:
        raise DataError("lines with different users or candidates cannot be compared", fix="Compare within one task.")
    values = np.array([line.value for line in influences])
    users = np.array([len(line.users) - line.undefined_users for line in influences])
    names = range(len(influences)) if recommenders is None else recommenders
    groups = np.unique(np.array(names), return_inverse=True)[1]
    return Comparison(values, users, Spread.of(influences, groups), _reason(influences), draws)


def _reason(influences: Sequence[Influence]) -> str | None:
    """The reason why the test is too small for any comparison; None for a test that is large enough."""
    line = influences[0]
    users = min(len(line.users) - line.undefined_users for line in influences)
    if users < MIN_USERS:
        return f"{users} user{'' if users == 1 else 's'} cannot tell lines apart: at least {MIN_USERS} are needed"
    if line.effective_items < MIN_ITEMS:
        units = "artists" if line.clustered else "items"
        return f"the test lies on {line.effective_items:.1f} effective {units}: at least {MIN_ITEMS} are needed"
    return None


__all__ = ["LEVEL", "Comparison", "compare"]
