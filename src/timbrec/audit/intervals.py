"""Intervals of values against a second implementation, which removes every candidate from the lists.

The definition is that of docs/statistics.md: variance over users plus variance over candidates minus that over pairs,
plus the variance over seeds; Student's t with Satterthwaite's degrees of freedom, at least 8 where the test has them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import polars as pl

from timbrec.audit.audited import Audited, sample
from timbrec.audit.finding import Finding, nothing_to_check
from timbrec.audit.formulas import METRICS, Values
from timbrec.data.split import SCENARIOS, Scenario, Task
from timbrec.results.figures import STANDINGS
from timbrec.types import Array, Bool, Float, Int

_LINES, _FEWER = 12, 4  # of every scenario, and in tests of many users
_MANY = 2_000  # users
_TOLERANCE = 1e-7
_LEAST = 8.0  # degrees of freedom over users and candidates
_SAMPLED = 1_000  # users whose pairs count for the variance over pairs


@dataclass(frozen=True, eq=False)
class Ranked:
    """Lists of one line by seed, one place deeper than k, with the pairs of the test.

    `owner` and `wanted` (pairs,) are the user, by place, and the item of every test pair. `cluster` (items,) numbers
    the candidates, or their artists if `clustered`, from 0; -1 for items that are no candidates.
    """

    owner: Int[Array, "pairs"]
    wanted: Int[Array, "pairs"]
    relevant: Int[Array, "users"]
    cluster: Int[Array, "items"]
    clustered: bool
    items: dict[int, Int[Array, "users depth"]] = field(default_factory=dict)
    hits: dict[int, Bool[Array, "users depth"]] = field(default_factory=dict)

    def add(self, seed: int, items: Int[Array, "users depth"]) -> None:
        """Add the lists of a seed."""
        width = len(self.cluster)
        users = np.arange(len(items))[:, None]
        wanted = np.isin(users * width + items, self.owner * width + self.wanted)
        self.items[seed], self.hits[seed] = items, wanted & (items >= 0)

    def values(self, metric: Values, k: int) -> list[float]:
        """The value of every seed."""
        return [float(metric(hits[:, :k], self.relevant, k).mean()) for hits in self.hits.values()]


class Seeds(NamedTuple):
    """The variance of a line's mean over its seeds, and its degrees of freedom."""

    variance: float
    degrees: float


def intervals_recomputed(audited: Audited) -> Finding:
    """Recompute the intervals of the primary metric for some lines and controls of every scenario.

    Intervals of differences come from random draws and are not recomputed; `tables-recomputed` bounds their width.
    """
    name, _, k = audited.config.primary.partition("@")
    path = audited.run.folder / "standings.csv"
    if name not in METRICS or not path.is_file():
        return nothing_to_check(f"no table yet, or {name} is not known to the audit")
    shown = pl.read_csv(path, schema_overrides=STANDINGS, glob=False).filter(metric=audited.config.primary)
    worst, where, compared = 0.0, "", 0
    for scenario in SCENARIOS:
        for key, (low, high) in _expected(audited, scenario, METRICS[name], int(k)).items():
            encoder, label, control = key
            row = shown.filter(
                pl.col("encoder").eq_missing(pl.lit(encoder)), recommender=label, control=control, scenario=scenario
            )
            limits = row.select("low", "high").row(0) if row.height == 1 else (np.nan, np.nan)
            off = np.nan_to_num(np.abs(np.array(limits, float) - (low, high)), nan=np.inf).max()
            compared += 1
            if off > worst:
                worst, where = float(off), f"{encoder or ''} {label} {control}, {scenario}".strip()
    if not compared:
        return nothing_to_check("no scenario has lines with two users or more")
    detail = f"{compared} intervals" + f"; worst: {where}" * bool(where)
    return Finding(worst <= _TOLERANCE, f"off by {worst:.2g}", f"at most {_TOLERANCE:.0e}", detail)


_Key = tuple[str | None, str, str]  # encoder, label of the recommender, control


def _expected(audited: Audited, scenario: Scenario, metric: Values, k: int) -> dict[_Key, tuple[float, float]]:
    """The limits of some lines of a scenario; empty with fewer than two users."""
    lines = dict[_Key, Ranked]()
    for cell, task, items, _ in audited.lists(audited.experiments, scenario):
        key = (cell.encoder, cell.label, cell.control)
        if key not in lines:
            lines[key] = _ranked(task, audited.run.artists)
        lines[key].add(cell.seed, items)
    keys, limits = list(lines), dict[_Key, tuple[float, float]]()
    many = bool(keys) and len(lines[keys[0]].relevant) > _MANY
    for key in [keys[place] for place in sample(len(keys), _FEWER if many else _LINES)]:
        if len(lines[key].relevant) > 1:
            group = {other: line.values(metric, k) for other, line in lines.items() if other[1:] == key[1:]}
            half, value = half_width(lines[key], metric, k, _seeds(group, key)), np.mean(group[key])
            limits[key] = max(float(value - half), 0.0), min(float(value + half), 1.0)
    return limits


def _ranked(task: Task, artists: Int[Array, "items"] | None) -> Ranked:
    """A line of a task without lists."""
    owner, wanted = task.relevant.of_users(task.users)
    cluster = np.full(task.relevant.n_items, -1)
    names = np.arange(len(cluster)) if artists is None else np.where(artists < 0, -np.arange(len(cluster)) - 1, artists)
    cluster[task.candidates] = np.unique(names[task.candidates], return_inverse=True)[1]
    return Ranked(owner, wanted, np.bincount(owner, minlength=len(task.users)), cluster, artists is not None)


def _seeds(values: dict[_Key, list[float]], key: _Key) -> Seeds:
    """The variance over seeds of one line, pooled over the lines of a recommender, whose `values` are given by seed."""
    squares = sum(float(((np.array(line) - np.mean(line)) ** 2).sum()) for line in values.values())
    degrees = sum(len(line) - 1 for line in values.values())
    return Seeds(squares / max(degrees, 1) / len(values[key]), max(degrees, 1.0))


def half_width(line: Ranked, metric: Values, k: int, seeds: Seeds) -> float:
    """Half the width of the 95 % interval of a line's value, before it is clipped to [0, 1]."""
    from scipy.stats import t

    relevant, n = line.relevant, len(line.relevant)
    per_user = np.mean([metric(hits[:, :k], relevant, k) for hits in line.hits.values()], axis=0)
    of_users = (per_user - per_user.mean()) / n
    of_items, over_pairs = _over_candidates(line, metric, k)
    users, items = (of_users**2).sum(), (of_items**2).sum()
    user_degrees, item_degrees = _degrees(of_users), _degrees(of_items)
    users *= n / max(n - 1, 1)
    least = max(users, items) if line.clustered else users
    crossed = max(users + items - over_pairs, least)
    share = np.bincount(line.cluster[line.wanted], weights=1 / relevant[line.owner]) / n
    most = max(min(n - 1, 1 / (share**2).sum() - 1), 1.0)
    uncertainty = users**2 / user_degrees + items**2 / item_degrees
    degrees = np.clip(crossed**2 / uncertainty if uncertainty > 0 else most, min(_LEAST, most), most)
    uncertainty = crossed**2 / degrees + seeds.variance**2 / seeds.degrees
    variance = crossed + seeds.variance
    all_degrees = max(variance**2 / uncertainty if uncertainty > 0 else most, 1.0)
    return float(t.ppf(0.975, all_degrees) * np.sqrt(variance))


def _over_candidates(line: Ranked, metric: Values, k: int) -> tuple[Float[Array, "clusters"], float]:
    """The influence of every cluster on the value, and the variance over (cluster, user) pairs."""
    n, n_items, clusters = len(line.relevant), len(line.cluster), int(line.cluster.max()) + 1
    numbers = np.full(n, -1)
    sampled = np.random.default_rng(0).permutation(n)[:_SAMPLED]
    numbers[sampled] = np.arange(len(sampled))
    influence, keys, parts = np.zeros(n_items), list[Array](), list[Array]()
    for seed, hits in line.hits.items():
        mean = metric(hits[:, :k], line.relevant, k).mean()
        change, lost = np.zeros(n_items), np.zeros(n_items)
        for users, items, changes, gone in _removed(line, seed, metric, k):
            changes = changes + gone * mean
            np.add.at(change, items, changes)
            np.add.at(lost, items, gone)
            kept = numbers[users] >= 0
            keys.append(line.cluster[items[kept]] * len(sampled) + numbers[users[kept]])
            parts.append(-changes[kept] / n / len(line.hits))
        influence -= change / np.maximum(n - lost, 1) / len(line.hits)
    candidates = line.cluster >= 0
    centred = influence[candidates] - influence[candidates].mean()
    pairs = np.bincount(np.unique(np.concatenate(keys), return_inverse=True)[1], weights=np.concatenate(parts))
    scale, size = n / len(sampled), clusters * n
    over_pairs = (pairs**2).sum() * scale - (pairs.sum() * scale) ** 2 / size
    return np.bincount(line.cluster[candidates], weights=centred, minlength=clusters), float(over_pairs)


_Removed = tuple[Int[Array, "m"], Int[Array, "m"], Float[Array, "m"], Bool[Array, "m"]]


def _removed(line: Ranked, seed: int, metric: Values, k: int) -> Iterator[_Removed]:
    """Yield users, removed items, changes of their values, and whether it was the user's only relevant item."""
    hits, items, relevant = line.hits[seed], line.items[seed], line.relevant
    old = metric(hits[:, :k], relevant, k)

    def change(rest: Bool[Array, "users k"], fewer: Int[Array, "users"]) -> Float[Array, "users"]:
        return np.where(fewer > 0, metric(rest[:, :k], np.maximum(fewer, 1), k), 0.0) - old

    for place in range(min(k, hits.shape[1])):
        fewer = relevant - hits[:, place]
        users = np.flatnonzero(items[:, place] >= 0)
        yield users, items[users, place], change(np.delete(hits, place, 1), fewer)[users], (fewer == 0)[users]
    listed = (items[line.owner, :k] == line.wanted[:, None]).any(1)
    users = line.owner[~listed]
    yield users, line.wanted[~listed], change(hits, relevant - 1)[users], (relevant == 1)[users]


def _degrees(influences: Float[Array, "n"]) -> float:
    """Degrees of freedom of a sum of squares: 2 total² / its variance by fourth moments, between 1 and n - 1."""
    n = len(influences)
    total = (influences**2).sum()
    excess = (influences**4).sum() - total**2 / max(n, 1)
    return float(np.clip(2 * total**2 / excess if excess > 0 else max(n - 1, 1), 1.0, max(n - 1, 1)))
