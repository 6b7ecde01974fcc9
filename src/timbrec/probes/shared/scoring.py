"""The score of a probe on the vectors of one encoder: search, test, interval, and controls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from timbrec.probes.shared import metrics
from timbrec.probes.shared.heads import candidates
from timbrec.statistics.intervals import Interval, clipped
from timbrec.types import Array, Float, Float32

if TYPE_CHECKING:
    from timbrec.probes.shared.base import Head
    from timbrec.probes.shared.labels import Targets

LEVEL, AT_CHANCE = 0.95, 4.0  # standard errors above chance at which the shuffled control is reported


@dataclass(frozen=True, eq=False)
class Score:
    """The score of a probe on one encoder.

    `values` are the metrics on the test part, the primary one first; `interval` is its 95 % interval over test tracks
    (artists, where known), the train part as it is. `chosen` is the setting that did best on validation, with the value
    `validation`. `shuffled` is the primary metric with labels dealt to the tracks at random, `expected` the value that
    such labels should have, `at_chance` False where it is well above. `majority` is the primary metric of the best
    prediction without vectors. `test` has a row per test track: id, group, and its influence on the primary metric.
    """

    values: Mapping[str, float]
    interval: Interval
    chosen: Mapping[str, Any]
    validation: float
    shuffled: float
    expected: float
    at_chance: bool
    majority: float
    test: pl.DataFrame
    seconds: float
    remarks: tuple[str, ...] = ()

    @property
    def primary(self) -> float:
        """The value of the primary metric."""
        return next(iter(self.values.values()))


def score(targets: Targets, vectors: Float32[Array, "n dim"], head: Head = "linear", seed: int = 0) -> Score:
    """The score of the vectors (row i of target i) on the targets; the head sees the train part alone.

    The setting with the best primary metric on validation is tested once. Dimensions are standardised with the mean and
    the deviation of the train part.
    """
    start = perf_counter()
    train, validation, test = (targets.rows(part) for part in ("train", "validation", "test"))
    scaled = _standardised(vectors, train)
    parts = scaled[train], [scaled[validation], scaled[test]]
    chosen, best, predicted = _search(targets, *parts, head, seed)
    truth = targets.values[test]
    influence = metrics.influences(targets.kind, truth, predicted)
    values = metrics.metrics(targets.kind, truth, predicted, targets.names)
    control = _shuffled(targets, *parts, head, chosen, seed)
    outputs = predicted.shape[1]
    guess = metrics.constant(targets.kind, targets.values[train], outputs, len(test))
    table = {"id": targets.ids.gather(test), "group": targets.groups[test], "influence": influence}
    remarks = []
    if len(train) < vectors.shape[1]:
        remarks.append(f"{len(train):,} train tracks, fewer than the {vectors.shape[1]:,} dimensions")
    return Score(
        values, _interval(targets.kind, next(iter(values.values())), influence, targets.groups[test]), chosen, best,
        *control, metrics.primary(targets.kind, truth, guess),
        pl.DataFrame(table), perf_counter() - start, tuple(remarks),
    )  # fmt: skip


def _standardised(vectors: Float32[Array, "n dim"], train: Array) -> Float32[Array, "n dim"]:
    from sklearn.preprocessing import StandardScaler

    return np.asarray(StandardScaler().fit(vectors[train]).transform(vectors), np.float32)


def _outputs(targets: Targets) -> int:
    return len(metrics.KEYS) if targets.kind == "key" else len(targets.names)


def _search(targets: Targets, train: Array, others: list[Array], head: Head, seed: int) -> tuple[Any, float, Array]:
    truth = targets.values[targets.rows("validation")]

    def judge(predicted: Float[Array, "n outputs"]) -> float:
        return metrics.primary(targets.kind, truth, predicted)

    best: tuple[Any, float, Array] | None = None
    values = targets.values[targets.rows("train")]
    for setting, (on_validation, on_test) in candidates(
        head, targets.kind, train, values, others, _outputs(targets), judge=judge, seed=seed
    ):
        value = judge(on_validation)
        if best is None or value > best[1]:
            best = setting, value, on_test
    assert best is not None  # every head has settings
    return best


def _shuffled(
    targets: Targets, train: Array, others: list[Array], head: Head, chosen: Mapping[str, Any], seed: int
) -> tuple[float, float, bool]:
    """The primary metric with labels dealt to all tracks at random, its expectation, and whether it is at chance."""
    dealt = targets.values[np.random.default_rng([seed, 0x5_4F]).permutation(len(targets))]
    rows, test = targets.rows("train"), targets.rows("test")
    candidate = candidates(head, targets.kind, train, dealt[rows], others, _outputs(targets), chosen=chosen, seed=seed)
    _, (_, predicted) = next(iter(candidate))
    truth = dealt[test]
    value = metrics.primary(targets.kind, truth, predicted)
    expected = metrics.chance(targets.kind, truth, predicted)
    error, _ = metrics.standard_error(metrics.influences(targets.kind, truth, predicted), np.arange(len(test)))
    return value, expected, bool(value <= expected + AT_CHANCE * error)


def _interval(kind: str, value: float, influence: Float[Array, "n"], groups: Array) -> Interval:
    from scipy.stats import t

    error, m = metrics.standard_error(influence, groups)
    low, high = metrics.RANGES.get(kind, (0.0, 1.0))
    half_width = float(t.ppf((1 + LEVEL) / 2, m - 1)) * error if m > 1 else float("nan")
    return clipped(value, half_width, low, high)
