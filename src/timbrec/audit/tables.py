"""Tables: results, standings, gains and differences against values recomputed from the stored lists."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from timbrec.audit.audited import Audited
from timbrec.audit.finding import Finding, nothing_to_check
from timbrec.audit.formulas import CHANCE, METRICS
from timbrec.data.split import SCENARIOS, Task
from timbrec.results.figures import DIFFERENCES, FIGURES, GAINS, STANDINGS
from timbrec.study.controls import REAL
from timbrec.study.naming import line_name
from timbrec.types import Array, Bool, Float, Int

_TOLERANCE = 1e-9
_NARROWEST = 0.95 * 1.96  # standard errors over users alone, below which no 95 % interval may be half as wide
_TABLES: dict[str, Any] = {
    "results": FIGURES, "standings": STANDINGS, "gains": GAINS, "differences": DIFFERENCES,
}  # fmt: skip
_KEY = ["encoder", "recommender", "control", "scenario", "metric"]


@dataclass(frozen=True, eq=False)
class _Line:
    """Outcomes of a recommender on a representation or control: hits by seed, and counts per user."""

    relevant: Int[Array, "users"]
    candidates: Int[Array, "users"]
    hits: dict[int, Bool[Array, "users depth"]] = field(default_factory=dict)


def tables_recomputed(audited: Audited) -> Finding:
    """Recompute the values, lifts, differences and chance levels of the tables, and bound the width of intervals.

    Covers hitrate, recall, precision, ndcg, mrr and map, over all users. An interval must contain its value and must
    not be narrower than an interval over users alone.
    """
    folder = audited.run.folder
    present = [name for name in _TABLES if (folder / f"{name}.csv").is_file()]
    if not {"results", "standings", "gains"} <= set(present):
        return nothing_to_check("the run has no tables yet")
    tables = {
        name: pl.read_csv(folder / f"{name}.csv", schema_overrides=_TABLES[name], glob=False).fill_nan(None)
        for name in present
    }
    lines = _lines(audited)
    wrong, compared = [], 0
    for name, table in tables.items():
        for row in table.iter_rows(named=True):
            for column, shown, expected in _columns(name, row, lines):
                compared += 1
                if not _agrees(shown, expected):
                    wrong.append(f"{name}.csv: {column} of {_title(row)} is {shown}, not {expected}")
    finished = {key[:3] for key in lines}
    shown_lines = {(row[0], row[1], row[2]) for row in tables["results"].select(_KEY[:3]).unique().iter_rows()}
    wrong += [f"results.csv: no row of {key}" for key in sorted(map(str, finished - shown_lines))]
    detail = "; ".join(wrong[:3]) or f"{compared:,} figures"
    return Finding(not wrong, f"{len(wrong):,} figures differ", "0 figures", detail)


def _lines(audited: Audited) -> dict[tuple[str | None, str, str, str], _Line]:
    """Lines by representation, label, control and scenario."""
    train, lines = audited.run.split.test.train, dict[tuple[str | None, str, str, str], _Line]()
    for scenario in SCENARIOS:
        for cell, task, items, _ in audited.lists(audited.experiments, scenario):
            key = (cell.encoder, cell.label, cell.control, scenario)
            if key not in lines:
                users, seen = train.of_users(task.users)
                played = np.bincount(users[np.isin(seen, task.candidates)], minlength=len(task.users))
                lines[key] = _Line(task.relevant.user_items[task.users], len(task.candidates) - played)
            lines[key].hits[cell.seed] = _hits(items, task)
    return lines


def _hits(items: Int[Array, "users depth"], task: Task) -> Bool[Array, "users depth"]:
    pairs = task.relevant.user * task.relevant.n_items + task.relevant.item
    keys = task.users[:, None] * task.relevant.n_items + items
    return np.isin(keys, pairs) & (items >= 0)


def _columns(
    name: str, row: dict[str, object], lines: dict[tuple[str | None, str, str, str], _Line]
) -> Iterator[tuple[str, object, object]]:
    """Yield (column, shown value, expected value) for the columns of a row that can be recomputed."""
    metric, k = str(row["metric"]).split("@")
    if name == "differences":
        yield from _of_pair(row, lines)
        return
    encoder, label, control, scenario = (row[part] for part in _KEY[:4])
    line = lines.get((encoder, label, control, scenario))  # type: ignore[arg-type]  # the columns are strings
    real = lines.get((encoder, label, REAL, scenario))  # type: ignore[arg-type]
    if line is None or metric not in METRICS:
        return
    values = _values(line, metric, int(k))
    if name == "results":
        seed = row["seed"]
        yield "value", row["value"], values[seed].mean() if seed in values else None
        return
    mean = np.mean(list(values.values()), axis=0)
    if name == "standings":
        yield "value", row["value"], mean.mean()
        yield "users", row["users"], len(line.relevant)
        yield "pairs", row["pairs"], int(line.relevant.sum())
        yield "seeds", row["seeds"], len(values)
        if metric in CHANCE:
            yield "chance", row["chance"], CHANCE[metric](line.relevant, line.candidates, int(k)).mean()
        yield "interval", _interval_fault(row, "value", mean), ""
    elif real is not None:
        base = np.mean(list(_values(real, metric, int(k)).values()), axis=0)
        yield "lift", row["lift"], base.mean() / mean.mean() if mean.mean() else None
        yield "difference", row["difference"], base.mean() - mean.mean()
        yield "interval", _interval_fault(row, "difference", base - mean), ""


def _of_pair(
    row: dict[str, object], lines: dict[tuple[str | None, str, str, str], _Line]
) -> Iterator[tuple[str, object, object]]:
    """Yield the columns of a row of differences: first minus second, on real vectors."""
    metric, k = str(row["metric"]).split("@")
    names = {
        line_name(encoder, label): line
        for (encoder, label, control, scenario), line in lines.items()
        if control == REAL and scenario == row["scenario"]
    }
    pair = [names.get(str(row[side])) for side in ("first", "second")]
    if metric in METRICS and pair[0] is not None and pair[1] is not None:
        first, second = (np.mean(list(_values(line, metric, int(k)).values()), axis=0) for line in pair if line)
        yield "difference", row["difference"], first.mean() - second.mean()
        yield "interval", _interval_fault(row, "difference", first - second), ""


def _interval_fault(row: dict[str, object], column: str, values: Float[Array, "users"]) -> str:
    """The fault of an interval in words, or "". The width of intervals clipped to the metric's range is not bounded."""
    value, low, high = row[column], row["low"], row["high"]
    if not isinstance(value, float) or not isinstance(low, float) or not isinstance(high, float):
        return ""
    if not low - _TOLERANCE <= value <= high + _TOLERANCE:
        return "does not contain its value"
    end = 0.0 if column == "value" else -1.0
    narrowest = 2 * _NARROWEST * values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else 0.0
    clipped = low <= end or high >= 1
    return "" if clipped or high - low >= narrowest - _TOLERANCE else "narrower than one over users alone"


def _agrees(shown: object, expected: object) -> bool:
    if isinstance(shown, str) or shown is None or expected is None:
        return shown == expected
    return abs(float(shown) - float(expected)) <= _TOLERANCE * max(1.0, abs(float(expected)))  # type: ignore[arg-type]


def _title(row: dict[str, object]) -> str:
    return " ".join(str(row[name]) for name in (*_KEY, "first", "second") if row.get(name) is not None)


def _values(line: _Line, metric: str, k: int) -> dict[int, Float[Array, "users"]]:
    """Values of all users by seed."""
    return {seed: METRICS[metric](hits[:, :k], line.relevant, k) for seed, hits in line.hits.items()}
