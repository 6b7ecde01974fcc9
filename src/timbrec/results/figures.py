"""From stored lists to figures: every metric of every cell, lifts over the controls, and the verdict's comparisons."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from timbrec import catalog
from timbrec.data.split import SCENARIOS, Scenario, Task
from timbrec.metrics.shared.base import Metric, Outcome, mean
from timbrec.ranking.outcomes import outcome
from timbrec.statistics.intervals import Interval, crossed, over_users
from timbrec.study.controls import Control
from timbrec.study.runs import Experiment, Run
from timbrec.types import Array, Float, Progress

SCHEMA = {
    "encoder": pl.String, "recommender": pl.String, "scenario": pl.String, "metric": pl.String,
    "value": pl.Float64, "low": pl.Float64, "high": pl.Float64, "chance": pl.Float64,
    "shuffled": pl.Float64, "gaussian": pl.Float64, "lift": pl.Float64,
    "difference": pl.Float64, "difference_low": pl.Float64, "difference_high": pl.Float64,
    "users": pl.Int64, "pairs": pl.Int64, "seeds": pl.Int64, "status": pl.String,
}  # fmt: skip
MIXED_METRICS = ("cold-share", "cold-recall")


@dataclass(frozen=True, eq=False)
class Figures:
    """One line of a table: a recommender on an encoder, over its seeds, with the same on its controls."""

    encoder: str | None
    label: str
    task: Task
    outcomes: dict[Control, list[Outcome]]  # one per seed
    refused: str | None

    def values(self, metric: Metric, control: Control = "real") -> Float[Array, "users"] | None:
        """Per-user values, averaged over seeds; None where the control did not run."""
        if not (outcomes := self.outcomes.get(control)):
            return None
        return np.mean([metric.values(one) for one in outcomes], axis=0)

    def value(self, metric: Metric, control: Control = "real") -> float | None:
        """The metric over all users and seeds; None where it is not defined."""
        values = [metric.value(one) for one in self.outcomes.get(control, [])]
        return _defined(mean(np.array(values)))

    def interval(self, metric: Metric, minus: Figures | None = None, control: Control = "real") -> Interval:
        """The value, or its difference to `control` of `minus`, with its interval over users and items."""
        sides = [(self.outcomes["real"], 1.0)]
        if minus is not None:
            sides.append((minus.outcomes[control], -1.0))
        gains = [
            metric.gains(one) * (sign / len(outcomes))  # type: ignore[operator]  # asked of metrics that have them
            for outcomes, sign in sides
            for one in outcomes
        ]
        items = [one.items[:, : metric.k] for outcomes, _ in sides for one in outcomes]
        return crossed(np.concatenate(gains, 1), np.concatenate(items, 1), self.task.users, self.task.relevant)


def make_metrics(names: Sequence[str], ks: Sequence[int], scenario: Scenario) -> list[Metric]:
    """Every metric at every k; mixed lists also get the share and the recall of cold items."""
    wanted = [*names, *(name for name in MIXED_METRICS if scenario == "mixed" and name not in names)]
    return [catalog.load("metrics", name)(k) for name in wanted for k in ks]


def summarise(run: Run, metrics: Sequence[str], ks: Sequence[int], progress: Progress | None = None) -> pl.DataFrame:
    """One row per (encoder, recommender, scenario, metric), as written to results.csv.

    `value` is the mean over users and seeds with its interval `low` to `high`; `chance` the exact expectation of a
    random order; `shuffled` and `gaussian` the same recommender on the controls; `lift` = value / shuffled and
    `difference` = value - shuffled with its interval. Null where something does not apply; `status` says why a
    row has no value. Per-user values go to users.parquet in the run's folder.
    """
    rows: list[dict[str, Any]] = []
    users: list[pl.DataFrame] = []
    for done, scenario in enumerate(SCENARIOS):
        chosen = make_metrics(metrics, ks, scenario)
        for figures in tables(run, scenario):
            if progress:
                progress(f"figures: {scenario} {_name(figures)}", done, len(SCENARIOS))
            rows += [_row(figures, metric) for metric in chosen]
            if "real" in figures.outcomes:
                users.append(_per_user(figures, chosen, run))
    if progress:
        progress("figures", len(SCENARIOS), len(SCENARIOS))
    if users:
        pl.concat(users, how="diagonal").write_parquet(run.folder / "users.parquet")
    return pl.DataFrame(rows, schema=SCHEMA)


def tables(run: Run, scenario: Scenario) -> Iterator[Figures]:
    """The lines of one scenario's table, one at a time: lists are read when they are needed."""
    for experiments in _lines(run).values():
        yield _figures(run, experiments, scenario)


def _lines(run: Run) -> dict[tuple[str | None, str], list[Experiment]]:
    """The finished experiments of each line, by encoder and label, in the order of the plan."""
    lines: dict[tuple[str | None, str], list[Experiment]] = {}
    for experiment in run.experiments:
        if run.has(experiment):
            lines.setdefault((experiment.encoder, experiment.label), []).append(experiment)
    return lines


def _figures(run: Run, experiments: Sequence[Experiment], scenario: Scenario) -> Figures:
    task = run.split.test.task(scenario, experiments[0].cold_candidates)
    outcomes: dict[Control, list[Outcome]] = {}
    refused = None
    for experiment in experiments:
        cell = run.read(experiment, [scenario])
        refused = cell.refused.get(scenario, refused)
        if scenario in cell.lists:
            found = outcome(cell.lists[scenario].items, task, run.split.test.train)
            outcomes.setdefault(experiment.control, []).append(found)
    return Figures(experiments[0].encoder, experiments[0].label, task, outcomes, refused)


@dataclass(frozen=True)
class Verdict:
    """The best line of a scenario on the primary metric, and by how much it leads the next (None when it is alone)."""

    scenario: Scenario
    best: str
    second: str | None
    lead: Interval | None


def verdicts(run: Run, summary: pl.DataFrame, metric: Metric) -> list[Verdict]:
    """The best line of every scenario that has one, by a metric that has gains; baselines are never the best."""
    lines, weaker = _lines(run), baselines(run)
    found = []
    for scenario in SCENARIOS:
        rows = summary.filter(scenario=scenario, metric=metric.label).drop_nulls("value").sort("value", descending=True)
        ranked = [key for key in rows.select("encoder", "recommender").iter_rows() if key[1] not in weaker]
        first = [_figures(run, lines[key], scenario) for key in ranked[:2]]
        if len(first) == 2:
            found.append(Verdict(scenario, _name(first[0]), _name(first[1]), first[0].interval(metric, minus=first[1])))
        elif first:
            found.append(Verdict(scenario, _name(first[0]), None, None))
    return found


def baselines(run: Run) -> set[str]:
    """The labels of the recommenders that are there to be beaten."""
    return {one.label for one in run.experiments if catalog.load("recommenders", one.recommender).baseline}


def _name(line: Figures) -> str:
    return f"{line.encoder} / {line.label}" if line.encoder else line.label


def _row(line: Figures, metric: Metric) -> dict[str, Any]:
    key = {"encoder": line.encoder, "recommender": line.label, "scenario": line.task.scenario, "metric": metric.label}
    if "real" not in line.outcomes:
        return key | {"status": line.refused}
    outcomes = line.outcomes["real"]
    chance = metric.chance(outcomes[0])
    shuffled = line.value(metric, "shuffled")
    value = line.value(metric)
    has_gains = metric.gains(outcomes[0]) is not None
    interval = line.interval(metric) if has_gains else over_users(line.values(metric))  # type: ignore[arg-type]
    difference = line.interval(metric, minus=line, control="shuffled") if has_gains and shuffled is not None else None
    return key | {
        "value": value,
        "low": _defined(interval.low),
        "high": _defined(interval.high),
        "chance": None if chance is None else _defined(mean(chance)),
        "shuffled": shuffled,
        "gaussian": line.value(metric, "gaussian"),
        "lift": value / shuffled if value is not None and shuffled else None,
        "difference": None if difference is None else difference.value,
        "difference_low": None if difference is None else _defined(difference.low),
        "difference_high": None if difference is None else _defined(difference.high),
        "users": len(line.task.users),
        "pairs": len(line.task.relevant),
        "seeds": len(outcomes),
    }


def _per_user(line: Figures, metrics: Sequence[Metric], run: Run) -> pl.DataFrame:
    """Per-user values of the real vectors, averaged over seeds; NaN where a metric is not defined for a user."""
    key = {"encoder": line.encoder, "recommender": line.label, "scenario": line.task.scenario}
    table = pl.DataFrame({"user": run.split.users.take(line.task.users)})
    columns = [pl.Series(metric.label, line.values(metric)) for metric in metrics]
    literals = [pl.lit(value, dtype=pl.String).alias(name) for name, value in key.items()]
    return table.select(*literals, "user").with_columns(columns)


def _defined(value: float) -> float | None:
    return None if np.isnan(value) else value
