"""Metrics: every figure against a second, plain implementation of its label."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike

from timbrec.audit import plain
from timbrec.audit.audited import Audited, sample
from timbrec.audit.finding import Finding, nothing_to_check
from timbrec.data.split import SCENARIOS
from timbrec.metrics.shared.base import Metric
from timbrec.results.figures import make_metrics
from timbrec.results.lines import Line, lines

_USERS = 20
_TOLERANCE = 1e-9


def metrics_recomputed(audited: Audited) -> Finding:
    """Compare every metric at every k with its definition, for 20 users of every line.

    Coverage, which has no value per user, and the mean of the primary metric are compared over all users.
    """
    compared, worst, where = 0, 0.0, ""
    for line, metric in _columns(audited):
        compared += 1
        difference = _difference(audited, line, metric)
        if difference > worst:
            worst, where = difference, f"{metric.label} of {line.encoder or ''} {line.label}, {line.task.scenario}"
    if not compared:
        return nothing_to_check("no metric of this run is known to the audit")
    detail = f"{compared} columns, {_USERS} users each" + (f"; worst: {where}" if where else "")
    return Finding(worst <= _TOLERANCE, f"off by {worst:.2g}", f"at most {_TOLERANCE:.0e}", detail)


def _columns(audited: Audited) -> Iterator[tuple[Line, Metric]]:
    """Yield every line with every metric that the audit can recompute."""
    for scenario in SCENARIOS:
        metrics = make_metrics(audited.config.metrics, audited.config.k, scenario)
        known = [metric for metric in metrics if metric.name in (*plain.METRICS, "coverage")]
        for line in lines(audited.run, scenario):
            if line.of():
                yield from ((line, metric) for metric in known)


def _difference(audited: Audited, line: Line, metric: Metric) -> float:
    """The largest difference; infinite where a value is defined in one of the two implementations only."""
    name, k = metric.label.split("@")
    lists = [stored.items for stored in line.of()]
    if name == "coverage":
        return _apart(
            np.array([line.value(metric)], np.float64),
            [np.mean([plain.coverage(items, int(k), line.task) for items in lists])],
        )
    shown = np.asarray(line.values(metric))
    places = sample(len(shown), _USERS)
    users, train = line.task.users[places], audited.run.split.test.train
    again = [plain.values(metric.label, items[places], users, line.task.relevant, train) for items in lists]
    apart = _apart(shown[places], np.mean(again, axis=0))
    if metric.label != audited.config.primary:
        return apart
    return max(apart, _apart(np.array([line.value(metric)], np.float64), [np.nanmean(shown)]))


def _apart(shown: ArrayLike, again: ArrayLike) -> float:
    """The largest absolute difference. None and NaN are undefined; undefined on both sides is equal."""
    values, expected = np.array(shown, np.float64), np.array(again, np.float64)
    undefined = np.isnan(values) & np.isnan(expected)
    return float(np.nan_to_num(np.abs(values - expected)[~undefined], nan=np.inf).max(initial=0))
