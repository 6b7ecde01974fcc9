"""From stored lists to tables of figures: every metric of every line and control."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from timbrec import catalog
from timbrec.data.split import SCENARIOS, Scenario
from timbrec.metrics.shared.base import Metric, mean
from timbrec.results.lines import Line, lines
from timbrec.statistics.intervals import Interval, crossed, over_users
from timbrec.study.controls import REAL
from timbrec.study.runs import Run
from timbrec.types import Progress

_KEY = {
    "encoder": pl.String, "recommender": pl.String, "control": pl.String, "scenario": pl.String, "metric": pl.String,
}  # fmt: skip
FIGURES = _KEY | {"seed": pl.Int64, "value": pl.Float64}
STANDINGS = _KEY | {
    "value": pl.Float64, "low": pl.Float64, "high": pl.Float64, "chance": pl.Float64,
    "users": pl.Int64, "pairs": pl.Int64, "seeds": pl.Int64, "status": pl.String,
}  # fmt: skip
GAINS = _KEY | {"lift": pl.Float64, "difference": pl.Float64, "low": pl.Float64, "high": pl.Float64}
MIXED_METRICS = ("cold-share", "cold-recall")


@dataclass(frozen=True, eq=False)
class Figures:
    """The figures of a run as three long tables, each keyed by encoder, recommender, control, scenario and metric.

    `figures`: the value of every seed. `standings`: the mean over seeds with its 95 % interval (`low`, `high`), the
    exact expectation of a random order (`chance`), the number of users and relevant pairs, and in `status` why a line
    has no value. `gains`: what the real vectors gain over each control: `lift`, the ratio, and the paired `difference`
    with its 95 % interval. Null where something is not defined.
    """

    figures: pl.DataFrame
    standings: pl.DataFrame
    gains: pl.DataFrame
    users: pl.DataFrame


def make_metrics(names: Sequence[str], ks: Sequence[int], scenario: Scenario) -> list[Metric]:
    """Every metric at every k; mixed lists also get the share and the recall of cold items."""
    labels = [*names, *(name for name in MIXED_METRICS if scenario == "mixed" and name not in names)]
    return [catalog.load("metrics", name)(k) for name in labels for k in ks]


def compute_figures(run: Run, metrics: Sequence[str], ks: Sequence[int], progress: Progress | None = None) -> Figures:
    """The figures of the finished cells of a run, one line in memory at a time."""
    rows: dict[str, list[dict[str, Any]]] = {"figures": [], "standings": [], "gains": []}
    users: list[pl.DataFrame] = []
    for done, scenario in enumerate(SCENARIOS):
        chosen = make_metrics(metrics, ks, scenario)
        for line in lines(run, scenario):
            if progress:
                progress(f"figures: {scenario} {line.name}", done, len(SCENARIOS))
            for metric in chosen:
                rows["figures"] += _figures(line, metric)
                rows["standings"] += _standings(line, metric)
                rows["gains"] += _gains(line, metric)
            if line.of():
                users.append(_per_user(line, chosen, run))
    if progress:
        progress("figures", len(SCENARIOS), len(SCENARIOS))
    return Figures(
        pl.DataFrame(rows["figures"], schema=FIGURES),
        pl.DataFrame(rows["standings"], schema=STANDINGS),
        pl.DataFrame(rows["gains"], schema=GAINS),
        pl.concat(users, how="diagonal") if users else pl.DataFrame(),
    )


def interval(line: Line, metric: Metric, control: str = REAL, minus: Line | None = None) -> Interval:
    """The value of a line on a control with its interval; with `minus`, real minus that line's `control`, paired."""
    sides = [(line.of(control), 1.0)] if minus is None else [(line.of(), 1.0), (minus.of(control), -1.0)]
    if metric.gains(sides[0][0][0]) is None:
        return over_users(np.asarray(line.values(metric, control)))
    gains = [
        metric.gains(judged) * (sign / len(outcomes))  # type: ignore[operator]  # the metric has gains
        for outcomes, sign in sides
        for judged in outcomes
    ]
    items = [judged.items[:, : metric.k] for outcomes, _ in sides for judged in outcomes]
    return crossed(np.concatenate(gains, 1), np.concatenate(items, 1), line.task.users, line.task.relevant)


def _key(line: Line, metric: Metric, control: str) -> dict[str, Any]:
    return {
        "encoder": line.encoder, "recommender": line.label, "control": control, "scenario": line.task.scenario,
        "metric": metric.label,
    }  # fmt: skip


def _figures(line: Line, metric: Metric) -> Iterator[dict[str, Any]]:
    for control, by_seed in line.outcomes.items():
        for seed, judged in by_seed.items():
            yield _key(line, metric, control) | {"seed": seed, "value": _defined(metric.value(judged))}


def _standings(line: Line, metric: Metric) -> Iterator[dict[str, Any]]:
    if not line.of():
        yield _key(line, metric, REAL) | {"status": line.refused}
    for control in line.outcomes:
        around = interval(line, metric, control)
        chance = metric.chance(line.of(control)[0])
        yield _key(line, metric, control) | {
            "value": line.value(metric, control),
            "low": _defined(around.low),
            "high": _defined(around.high),
            "chance": None if chance is None else _defined(mean(chance)),
            "users": len(line.task.users),
            "pairs": len(line.task.relevant),
            "seeds": len(line.of(control)),
        }


def _gains(line: Line, metric: Metric) -> Iterator[dict[str, Any]]:
    for control in line.outcomes:
        if control == REAL or not line.of():
            continue
        value, base = line.value(metric), line.value(metric, control)
        row = _key(line, metric, control) | {"lift": value / base if value is not None and base else None}
        if metric.gains(line.of()[0]) is not None:
            gain = interval(line, metric, control, minus=line)
            row |= {"difference": gain.value, "low": _defined(gain.low), "high": _defined(gain.high)}
        yield row


def _per_user(line: Line, metrics: Sequence[Metric], run: Run) -> pl.DataFrame:
    """Per-user values on the real vectors, averaged over seeds; NaN where a metric is not defined for a user."""
    key = {"encoder": line.encoder, "recommender": line.label, "scenario": line.task.scenario}
    table = pl.DataFrame({"user": run.split.users.take(line.task.users)})
    columns = [pl.Series(metric.label, line.values(metric)) for metric in metrics]
    literals = [pl.lit(value, dtype=pl.String).alias(name) for name, value in key.items()]
    return table.select(*literals, "user").with_columns(columns)


def _defined(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
