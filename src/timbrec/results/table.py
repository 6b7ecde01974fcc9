"""The table of one scenario and metric: lines and controls, compared."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from timbrec.data.split import Scenario
from timbrec.results.verdict import Verdict, judge
from timbrec.statistics.comparison import Comparison, compare
from timbrec.statistics.influence import Influence
from timbrec.statistics.intervals import Interval
from timbrec.study.controls import CONTROLS, REAL


@dataclass(frozen=True, eq=False)
class Entry:
    """A line on a control, on one metric: its influences, and the facts of its row.

    `adds_up` says whether the metric is a sum over hits; only then are differences comparable between lists.
    """

    key: dict[str, Any]
    name: str
    influence: Influence
    facts: dict[str, Any]
    adds_up: bool


@dataclass(frozen=True, eq=False)
class Table:
    """The entries of one scenario and metric, compared."""

    entries: list[Entry]
    baselines: set[str]
    orders: set[str]

    @cached_property
    def comparison(self) -> Comparison | None:
        """All entries compared; None where a value is not defined. Controls have a spread over seeds of their own."""
        names = [f"{entry.key['recommender']} {entry.key['control']}" for entry in self.entries]
        if not self.entries or any(np.isnan(entry.influence.value) for entry in self.entries):
            return None
        return compare([entry.influence for entry in self.entries], names)

    @property
    def audio(self) -> list[int]:
        """The entries of real vectors under recommenders that use content, baselines excluded."""
        return [place for place in self._real if self.entries[place].key["recommender"] not in self.baselines]

    @property
    def rivals(self) -> list[int]:
        """The entries of baselines without vectors that a line with audio must beat: all except random orders."""
        return [place for place in self._baselines if self.entries[place].key["encoder"] is None]

    @property
    def by_artist(self) -> dict[int, str]:
        """The labels of baselines that know vectors only as means over an artist, by entry."""
        labels = {place: self.entries[place].key for place in self._baselines}
        return {place: key["recommender"] for place, key in labels.items() if key["encoder"] is not None}

    @property
    def _baselines(self) -> list[int]:
        labels = self.baselines - self.orders
        return [place for place in self._real if self.entries[place].key["recommender"] in labels]

    @property
    def _real(self) -> list[int]:
        return [place for place, entry in enumerate(self.entries) if entry.key["control"] == REAL]

    def standings(self) -> Iterator[dict[str, Any]]:
        """A row per entry."""
        tied: dict[int, bool] = {}
        if self.comparison is not None and self.audio:
            contest = self.comparison.among(self.audio)
            tied = dict(zip(self.audio, contest.tied.tolist(), strict=True)) if contest.reason is None else {}
        for place, entry in enumerate(self.entries):
            limits = {} if self.comparison is None else limits_of(self.comparison.intervals[place])
            yield entry.key | entry.facts | limits | {"tied": tied.get(place)}

    def gains(self) -> Iterator[dict[str, Any]]:
        """A row per line and control; each control is a family of its own."""
        places = {(entry.name, entry.key["control"]): place for place, entry in enumerate(self.entries)}
        for control in CONTROLS:
            pairs = [(place, places[name, control]) for (name, kind), place in places.items()
                     if kind == REAL and (name, control) in places]  # fmt: skip
            intervals = self.comparison.gains(pairs) if self.comparison is not None and pairs else None
            for number, (line, base) in enumerate(pairs):
                value, other = (self.entries[place].facts["value"] for place in (line, base))
                row = self.entries[base].key | {"lift": value / other if value is not None and other else None}
                if intervals is not None and self.entries[line].adds_up:
                    row |= {"difference": intervals[number].value} | limits_of(intervals[number])
                yield row

    def differences(self) -> Iterator[dict[str, Any]]:
        """A row per pair of lines on real vectors, random orders aside."""
        places = sorted([*self.audio, *self._baselines])
        if self.comparison is None or len(places) < 2:
            return
        among = self.comparison.among(places)
        for (first, second), interval in zip(
            zip(*np.triu_indices(len(places), 1), strict=True), among.pairs.intervals(), strict=True
        ):
            one, other = self.entries[places[first]], self.entries[places[second]]
            yield {
                "scenario": one.key["scenario"], "metric": one.key["metric"], "first": one.name, "second": other.name,
                "difference": interval.value,
            } | limits_of(interval)  # fmt: skip

    def verdict(self, scenario: Scenario) -> Verdict | None:
        """The verdict on the lines with audio."""
        if self.comparison is None:
            return None
        names, chances = zip(*((entry.name, entry.facts["chance"]) for entry in self.entries), strict=True)
        return judge(scenario, names, self.audio, self.rivals, chances, self.comparison, self.by_artist)


def limits_of(interval: Interval) -> dict[str, float | None]:
    """The limits of an interval by the names of columns; None where they are not defined."""
    return {"low": defined(interval.low), "high": defined(interval.high)}


def defined(value: float) -> float | None:
    """The value; None for NaN."""
    return None if np.isnan(value) else float(value)
