"""From stored lists to tables of figures: every metric of every line and control."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from timbrec import catalog
from timbrec.data.split import SCENARIOS, Scenario
from timbrec.metrics.shared.base import GainMetric, Metric, mean
from timbrec.results.lines import Line, baselines, lines, orders
from timbrec.results.table import Entry, Table, defined
from timbrec.results.verdict import Verdict
from timbrec.study.controls import REAL
from timbrec.study.runs import Run
from timbrec.types import Progress

_KEY = {
    "encoder": pl.String, "recommender": pl.String, "control": pl.String, "scenario": pl.String, "metric": pl.String,
}  # fmt: skip
FIGURES = _KEY | {"seed": pl.Int64, "value": pl.Float64}
STANDINGS = _KEY | {
    "value": pl.Float64, "low": pl.Float64, "high": pl.Float64, "chance": pl.Float64, "tied": pl.Boolean,
    "users": pl.Int64, "pairs": pl.Int64, "seeds": pl.Int64, "status": pl.String,
}  # fmt: skip
GAINS = _KEY | {"lift": pl.Float64, "difference": pl.Float64, "low": pl.Float64, "high": pl.Float64}
DIFFERENCES = {
    "scenario": pl.String, "metric": pl.String, "first": pl.String, "second": pl.String,
    "difference": pl.Float64, "low": pl.Float64, "high": pl.Float64,
}  # fmt: skip
MIXED_METRICS = ("cold-share", "cold-recall")


@dataclass(frozen=True, eq=False)
class Figures:
    """The figures of a run as long tables; most have the key encoder, recommender, control, scenario, metric.

    `figures`: the value of every seed. `standings`: the mean over seeds with its 95 % interval (`low`, `high`), the
    exact expectation of a random order (`chance`), whether a line with audio is tied with the best (`tied`), the number
    of users and relevant pairs, and in `status` why a line has no value. `gains`: what the real vectors gain over each
    control: `lift`, the ratio, and the paired `difference`. `differences`: first - second of all pairs of lines on the
    primary metric. Intervals of gains and of differences hold for all of a scenario and metric at once. Null where
    something is not defined. `users`: values per user on real vectors. `verdicts`: one per scenario with audio lines.
    """

    figures: pl.DataFrame
    standings: pl.DataFrame
    gains: pl.DataFrame
    differences: pl.DataFrame
    users: pl.DataFrame
    verdicts: tuple[Verdict, ...]


def make_metrics(names: Sequence[str], ks: Sequence[int], scenario: Scenario) -> list[Metric]:
    """Every metric at every k; mixed lists also get the share and the recall of cold items."""
    labels = [*names, *(name for name in MIXED_METRICS if scenario == "mixed" and name not in names)]
    return [catalog.load("metrics", name)(k) for name in labels for k in ks]


def compute_figures(
    run: Run, metrics: Sequence[str], ks: Sequence[int], primary: str, progress: Progress | None = None
) -> Figures:
    """The figures of the finished cells of a run, the lists of one line in memory at a time.

    `primary` is the label of the metric that differences and verdicts are about.
    """
    rows: dict[str, list[dict[str, Any]]] = {"figures": [], "standings": [], "gains": [], "differences": []}
    users: list[pl.DataFrame] = []
    verdicts = []
    without_audio, meaningless = baselines(run), orders(run)
    for done, scenario in enumerate(SCENARIOS):
        chosen = make_metrics(metrics, ks, scenario)
        entries: dict[str, list[Entry]] = {metric.label: [] for metric in chosen}
        for line in lines(run, scenario):
            if progress:
                progress(f"figures: {scenario} {line.name}", done, len(SCENARIOS))
            for metric in chosen:
                rows["figures"] += _figures(line, metric)
                rows["standings"] += _refusals(line, metric)
                entries[metric.label] += _entries(line, metric)
            if line.of():
                users.append(_per_user(line, chosen, run))
        for metric in chosen:
            table = Table(entries[metric.label], without_audio, meaningless)
            rows["standings"] += table.standings()
            rows["gains"] += table.gains()
            if metric.label == primary:
                rows["differences"] += table.differences()
                verdicts.append(table.verdict(scenario))
    if progress:
        progress("figures", len(SCENARIOS), len(SCENARIOS))
    return Figures(
        pl.DataFrame(rows["figures"], schema=FIGURES),
        pl.DataFrame(rows["standings"], schema=STANDINGS),
        pl.DataFrame(rows["gains"], schema=GAINS),
        pl.DataFrame(rows["differences"], schema=DIFFERENCES),
        pl.concat(users, how="diagonal") if users else pl.DataFrame(),
        tuple(verdict for verdict in verdicts if verdict is not None),
    )


def _key(line: Line, metric: Metric, control: str) -> dict[str, Any]:
    return {
        "encoder": line.encoder, "recommender": line.label, "control": control, "scenario": line.task.scenario,
        "metric": metric.label,
    }  # fmt: skip


def _figures(line: Line, metric: Metric) -> Iterator[dict[str, Any]]:
    for control, by_seed in line.outcomes.items():
        for seed, judged in by_seed.items():
            yield _key(line, metric, control) | {"seed": seed, "value": defined(metric.value(judged))}


def _refusals(line: Line, metric: Metric) -> Iterator[dict[str, Any]]:
    if not line.of():
        yield _key(line, metric, REAL) | {"status": line.refused}


def _entries(line: Line, metric: Metric) -> Iterator[Entry]:
    for control in line.outcomes:
        outcomes = line.of(control)
        chance, adds_up = metric.chance(outcomes[0]), isinstance(metric, GainMetric)
        facts = {
            "value": line.value(metric, control),
            "chance": None if chance is None else defined(mean(chance)),
            "users": len(line.task.users),
            "pairs": len(line.task.relevant),
            "seeds": len(outcomes),
        }
        yield Entry(_key(line, metric, control), line.name, line.influence(metric, control), facts, adds_up)


def _per_user(line: Line, metrics: Sequence[Metric], run: Run) -> pl.DataFrame:
    """Per-user values on the real vectors, averaged over seeds; NaN where a metric is not defined for a user."""
    key = {"encoder": line.encoder, "recommender": line.label, "scenario": line.task.scenario}
    table = pl.DataFrame({"user": run.split.users.take(line.task.users)})
    columns = [pl.Series(metric.label, line.values(metric)) for metric in metrics]
    literals = [pl.lit(value, dtype=pl.String).alias(name) for name, value in key.items()]
    return table.select(*literals, "user").with_columns(columns)
