"""Comparison of every encoder with a reference encoder, under each recommender and over all of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from timbrec.data.split import SCENARIOS
from timbrec.errors import ConfigError, did_you_mean, listing
from timbrec.files import write_atomically
from timbrec.metrics import metric_of
from timbrec.results.figures import Figures
from timbrec.results.lines import baselines, grouped, lines
from timbrec.results.table import defined, limits_of
from timbrec.statistics.comparison import Comparison, compare
from timbrec.statistics.family import Family
from timbrec.statistics.influence import Influence
from timbrec.study.runs import Run
from timbrec.types import Array, Float, Progress

REFERENCE = {
    "scenario": pl.String, "metric": pl.String, "recommender": pl.String, "encoder": pl.String,
    "reference": pl.String, "value": pl.Float64, "reference_value": pl.Float64, "difference": pl.Float64,
    "low": pl.Float64, "high": pl.Float64, "standing": pl.String, "leads": pl.Int64, "recommenders": pl.Int64,
    "reason": pl.String,
}  # fmt: skip
AHEAD, TIED, BEHIND = "ahead", "tied", "behind"


def reference_table(run: Run, figures: Figures, progress: Progress | None = None) -> pl.DataFrame | None:
    """The comparison with the config's `reference`; None if it names none, or if the run cannot be compared yet."""
    reference = run.facts.get("config", {}).get("reference")
    if reference is None or reference not in encoders(run) or len(encoders(run)) < 2:
        return None
    return compare_with(run, reference, run.facts["config"].get("primary", "ndcg@50"), progress)


def compare_with(run: Run, reference: str, metric: str, progress: Progress | None = None) -> pl.DataFrame:
    """Every encoder minus the reference, paired by user, with the columns of REFERENCE.

    One row per scenario, recommender and encoder. A row without a `recommender` holds the mean difference over the
    `recommenders` that both encoders ran with; with `leads` of them, the encoder is ahead. `standing` is "ahead",
    "tied" or "behind" by the interval (`low`, `high`). Intervals hold at once for all rows of a scenario with a
    recommender, and at once for all rows without one. With a `reason`, the test cannot tell encoders apart: intervals
    and standings are null. A run with a single recommender has no rows without one. Raises ConfigError for a reference
    that the run lacks and for a run with a single encoder.
    """
    check_reference(run, reference)
    rows: list[dict[str, Any]] = []
    for done, scenario in enumerate(SCENARIOS):
        if progress:
            progress(f"reference: {scenario}", done, len(SCENARIOS))
        chosen = metric_of(metric)
        places: dict[tuple[str, str], int] = {}
        influences: list[Influence] = []
        for line in lines(run, scenario):
            if line.encoder is not None and line.label not in baselines(run) and line.of():
                places[line.label, line.encoder] = len(influences)
                influences.append(line.influence(chosen))
        if influences and not any(np.isnan(line.value) for line in influences):
            contest = Contest(reference, places, compare(influences, [label for label, _ in places]))
            rows += [{"scenario": scenario, "metric": metric, "reference": reference} | row for row in contest.rows()]
    if progress:
        progress("reference", len(SCENARIOS), len(SCENARIOS))
    return pl.DataFrame(rows, schema=REFERENCE)


def write_reference(run: Run, table: pl.DataFrame) -> None:
    """Write the table as reference.csv into the run's folder."""
    write_atomically(run.folder / "reference.csv", table.write_csv())


def read_reference(run: Run) -> pl.DataFrame | None:
    """The stored comparison with the config's `reference`; None if it names none or nothing is stored."""
    path = run.folder / "reference.csv"
    if run.facts.get("config", {}).get("reference") is None or not path.is_file():
        return None
    return pl.read_csv(path, schema=REFERENCE, glob=False)


def encoders(run: Run) -> list[str]:
    """Encoders and representations with a finished cell of a recommender that is no baseline, in the run's order."""
    without = baselines(run)
    return list(dict.fromkeys(name for name, label in grouped(run) if name is not None and label not in without))


def check_reference(run: Run, reference: str) -> None:
    """Raise ConfigError where the run has no finished cells of the reference, or of no other encoder."""
    names = encoders(run)
    planned = {item.encoder for item in run.experiments} | set(run.facts.get("config", {}).get("encoders", {}))
    if reference in planned and reference not in names:
        raise ConfigError(
            f"the reference {reference!r} is in the config, but no cell of it is finished",
            fix=f"Run the benchmark again, or choose from: {listing(names)}.",
        )
    if reference not in names:
        raise ConfigError(
            f"the run has no encoder {reference!r} to compare with",
            fix=f"{did_you_mean(reference, names)}It has: {listing(names)}.",
        )
    if len(names) < 2:
        raise ConfigError(
            f"{reference!r} is the run's only encoder, so there is nothing to compare it with", fix="Add an encoder."
        )


def summary_sentences(table: pl.DataFrame) -> list[str]:
    """One sentence per scenario: the encoders ahead of and behind the reference, or why there is no result."""
    return [_sentence(rows) for _, rows in table.group_by("scenario", maintain_order=True)]


@dataclass(frozen=True, eq=False)
class Contest:
    """The lines of one scenario, compared; `places` are their places by recommender and encoder."""

    reference: str
    places: dict[tuple[str, str], int]
    comparison: Comparison

    def rows(self) -> Iterator[dict[str, Any]]:
        """A row per recommender and encoder, then one per encoder over all recommenders, if there are several."""
        if self._pairs:
            weights = np.stack([self._weights([pair]) for pair in self._pairs])
            yield from self._of_family(self._pairs, self.comparison.family(weights))
        names = [name for name, labels in self._shared.items() if len(labels) > 1]
        if names:
            pairs = {name: [(label, name) for label in self._shared[name]] for name in names}
            weights = np.stack([self._weights(pairs[name]) for name in names])
            yield from self._of_means(names, self.comparison.family(weights))

    @cached_property
    def _pairs(self) -> list[tuple[str, str]]:
        """Recommenders and encoders other than the reference, where the reference ran with the recommender too."""
        return [
            (label, name)
            for label, name in self.places
            if name != self.reference and (label, self.reference) in self.places
        ]

    @cached_property
    def _shared(self) -> dict[str, list[str]]:
        """The recommenders that each encoder shares with the reference."""
        shared: dict[str, list[str]] = {}
        for label, name in self._pairs:
            shared.setdefault(name, []).append(label)
        return shared

    def _weights(self, pairs: Sequence[tuple[str, str]]) -> Float[Array, "lines"]:
        """The contrast of the mean difference from the reference over (recommender, encoder) pairs."""
        weights = np.zeros(len(self.places))
        for label, name in pairs:
            weights[self.places[label, name]] += 1 / len(pairs)
            weights[self.places[label, self.reference]] -= 1 / len(pairs)
        return weights

    def _of_family(self, pairs: Sequence[tuple[str, str]], family: Family) -> Iterator[dict[str, Any]]:
        values = self.comparison.values
        for (label, name), row in zip(pairs, self._differences(family), strict=True):
            value, other = values[self.places[label, name]], values[self.places[label, self.reference]]
            counts = {"leads": int(value > other), "recommenders": 1}
            yield {"recommender": label, "encoder": name, "value": value, "reference_value": other} | row | counts

    def _of_means(self, names: Sequence[str], family: Family) -> Iterator[dict[str, Any]]:
        values = self.comparison.values
        for name, row in zip(names, self._differences(family), strict=True):
            own = values[[self.places[label, name] for label in self._shared[name]]]
            other = values[[self.places[label, self.reference] for label in self._shared[name]]]
            means = {"value": float(own.mean()), "reference_value": float(other.mean())}
            yield {"encoder": name} | means | row | {"leads": int((own > other).sum()), "recommenders": len(own)}

    def _differences(self, family: Family) -> Iterator[dict[str, Any]]:
        reason = self.comparison.reason
        for interval, sign in zip(family.intervals(), family.differ().tolist(), strict=True):
            standing = None if reason else {1.0: AHEAD, -1.0: BEHIND}.get(sign, TIED)
            yield {"difference": defined(interval.value), "standing": standing, "reason": reason} | limits_of(interval)


def _sentence(rows: pl.DataFrame) -> str:
    """The result of one scenario in words: means over recommenders, or the rows of the only recommender."""
    first = rows.row(0, named=True)
    start = f"{first['scenario'].capitalize()}: "
    if first["reason"]:
        return f"{start}this test cannot tell encoders apart ({first['reason']})."
    means = rows.filter(pl.col("recommender").is_null())
    over = f"with {first['recommender']}, the only recommender" if means.is_empty() else "over all recommenders"
    rows = rows if means.is_empty() else means
    parts = []
    for standing, of in ((AHEAD, f"{AHEAD} of"), (BEHIND, BEHIND)):
        if names := rows.filter(standing=standing)["encoder"].to_list():
            parts.append(f"{listing(names, 5)} {'is' if len(names) == 1 else 'are'} {of} {first['reference']}")
    return f"{start}{'; '.join(parts) or 'no encoder is told apart from ' + first['reference']} {over}."
