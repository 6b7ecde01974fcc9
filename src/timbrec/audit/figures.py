"""Are the figures what their labels say?"""

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
    """Every metric at every k, of a few users of every line, as the tables have it and by its definition.

    Coverage, which no user has, and the mean of the primary metric are compared as a whole.
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
    """Every figure of every line whose metric the audit knows."""
    for scenario in SCENARIOS:
        metrics = make_metrics(audited.config.metrics, audited.config.k, scenario)
        known = [one for one in metrics if one.name in (*plain.METRICS, "coverage")]
        for line in lines(audited.run, scenario):
            if line.of():
                yield from ((line, metric) for metric in known)


def _difference(audited: Audited, line: Line, metric: Metric) -> float:
    """The largest difference; a value that is defined for one side alone counts as infinite."""
    name, k = metric.label.split("@")
    lists = [one.items for one in line.of()]
    if name == "coverage":
        return _apart(
            np.array([line.value(metric)], np.float64),
            [np.mean([plain.coverage(one, int(k), line.task) for one in lists])],
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
    """None and NaN are undefined."""
    one, other = np.array(shown, np.float64), np.array(again, np.float64)
    both_undefined = np.isnan(one) & np.isnan(other)
    return float(np.nan_to_num(np.abs(one - other)[~both_undefined], nan=np.inf).max(initial=0))
