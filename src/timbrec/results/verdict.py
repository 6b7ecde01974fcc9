"""The verdict: the best line of every scenario, and by how much it leads the next."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from timbrec.data.split import SCENARIOS, Scenario
from timbrec.metrics.shared.base import Metric
from timbrec.results.figures import interval
from timbrec.results.lines import Key, baselines, lines
from timbrec.statistics.intervals import Interval
from timbrec.study.controls import REAL
from timbrec.study.runs import Run


@dataclass(frozen=True)
class Verdict:
    """The best line of a scenario on the primary metric, and its lead over the next (None when it is alone)."""

    scenario: Scenario
    best: str
    second: str | None
    lead: Interval | None


def verdicts(run: Run, standings: pl.DataFrame, metric: Metric) -> list[Verdict]:
    """The best line of every scenario that has one, by a metric that has gains; baselines are never the best."""
    weaker = baselines(run)
    found = []
    for scenario in SCENARIOS:
        rows = standings.filter(scenario=scenario, metric=metric.label, control=REAL).drop_nulls("value")
        ranked: list[Key] = [
            (encoder, label)
            for encoder, label in rows.sort("value", descending=True).select("encoder", "recommender").iter_rows()
            if label not in weaker
        ]
        chosen = {line.key: line for line in lines(run, scenario) if line.key in ranked[:2]}
        first = [chosen[key] for key in ranked[:2]]
        if len(first) == 2:
            lead = interval(first[0], metric, REAL, minus=first[1])
            found.append(Verdict(scenario, first[0].name, first[1].name, lead))
        elif first:
            found.append(Verdict(scenario, first[0].name, None, None))
    return found
