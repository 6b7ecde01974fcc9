"""Second implementations of the split by time, the ranking and the controls, on small data with boundary cases."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import torch

from timbrec.audit.audited import SEED
from timbrec.audit.finding import Finding
from timbrec.audit.trial import Trial
from timbrec.data.events import make_events
from timbrec.data.interactions import Interactions
from timbrec.data.split import Split, Task
from timbrec.data.splitting import SplitConfig, make_split
from timbrec.protocols import Scorer
from timbrec.ranking.rank import rank
from timbrec.study.controls import gaussian, shuffled
from timbrec.types import Array, Float32, Int

if TYPE_CHECKING:
    from timbrec.protocols import BoundScorer

_T = datetime(2019, 3, 31)  # a month before it and after it are the last days of shorter months
_START, _VALIDATE, _END = datetime(2018, 3, 31), datetime(2019, 2, 28), datetime(2019, 4, 30)
_MOMENTS = (_START, _VALIDATE, _T, _END)
Plays = list[tuple[str, str, datetime]]
Pairs = dict[tuple[str, str], int]


def split_by_definition(trial: Trial) -> Finding:
    """Split a small log with plays at and next to every boundary, by time and with default times, play by play.

    Every part must have the expected pairs and plays, and every scenario the expected candidates. Pairs are played
    repeatedly, before and after boundaries; some items are new in each period, and some are never played in it.
    """
    plays = _log()
    table = pl.DataFrame(plays, schema=["user", "item", "time"], orient="row")
    split = make_split(make_events(table), SplitConfig.model_validate({"test_at": _T}))
    expected = _parts(plays)
    wrong = [name for name, part in split.parts().items() if _by_id(part, split) != expected[name]]
    candidates = _candidates(expected, {item for _, item, _ in plays})
    wrong += [
        f"candidates of {name}"
        for name, items in candidates.items()
        if set(split.items.ids.gather(_task(split, name).candidates)) != items
    ]
    count = len(expected) + len(candidates)
    return Finding(not wrong, f"{len(wrong)} of {count} parts differ", "none", ", ".join(wrong))


def ranking_by_definition(trial: Trial) -> Finding:
    """Rank a table of scores with many ties in blocks of every size, and compare with a sort of every user's list.

    Ties follow a seeded random order of the items. Some users have few candidates left, and one has none.
    """
    rng = np.random.default_rng(SEED)
    users, items, k = 70, 400, 12
    scores = rng.integers(0, 9, (users, items)).astype(np.float32)
    seen = rng.random((users, items)) < 0.3
    candidates = np.sort(rng.permutation(items)[:200])
    seen[:3, candidates] = True
    seen[0, candidates[:5]] = seen[1, candidates[0]] = False
    user, item = np.nonzero(seen)
    train = Interactions(user, item, np.ones(len(user), np.int64), None, users, items)
    order = np.random.default_rng([SEED, 0x71E5]).permutation(items)
    expected = [_sorted(scores[row], candidates[~seen[row, candidates]].tolist(), order, k) for row in range(users)]
    wrong = 0
    for memory in (2**28, 4 * 512 * 64):
        lists = rank(_Table(scores), np.arange(users), candidates, train, k, seed=SEED, memory=memory)
        wrong += sum(
            [item for item in row if item >= 0] != again for row, again in zip(lists.items, expected, strict=True)
        )
        wrong += int((lists.scores != _listed(scores, lists.items)).any(1).sum())
    return Finding(not wrong, f"{wrong:,} lists differ", "none", f"{users} users in blocks of 400 and of 64 candidates")


def controls_by_definition(trial: Trial) -> Finding:
    """Draw the controls of random vectors, and compare them with their definitions.

    Shuffled vectors are a permutation of the rows with at most 8 fixed rows of 500; another seed gives another one.
    Gaussian vectors have mean and covariance of the train items alone, within 6 standard errors.
    """
    rng = np.random.default_rng(SEED)
    vectors = (rng.standard_normal((500, 6)) @ rng.standard_normal((6, 6)) + 2).astype(np.float32)
    faults, previous = [], vectors
    for seed in (0, 1):
        permuted = shuffled(vectors, seed)
        if not np.array_equal(permuted[np.lexsort(permuted.T)], vectors[np.lexsort(vectors.T)]):
            faults.append("shuffled vectors are no permutation")
        faults += ["shuffling leaves rows in place"] * (int((permuted == vectors).all(1).sum()) > 8)
        faults += ["two seeds shuffle alike"] * (int((permuted == previous).all(1).sum()) > 8)
        previous = permuted
    train = np.arange(300)
    moved = np.tile(vectors, (20, 1))
    moved[300:] += 50  # vectors outside train, which must have no influence
    drawn, other = (gaussian(moved, train, seed).astype(np.float64) for seed in (0, 1))
    covariance = np.cov(vectors[train].T.astype(np.float64))
    variances = np.diag(covariance)
    error = np.abs(drawn.mean(0) - vectors[train].mean(0)) / np.sqrt(variances / len(drawn))
    scale = np.sqrt((np.outer(variances, variances) + covariance**2) / len(drawn))
    errors = np.abs(np.cov(drawn.T) - covariance) / scale
    faults += ["gaussian vectors have another mean"] * bool(error.max() > 6)
    faults += ["gaussian vectors have another covariance"] * bool(errors.max() > 6)
    faults += ["two seeds draw alike"] * bool((drawn == other).any())
    return Finding(not faults, f"{len(faults)} faults", "none", "; ".join(faults))


def _log() -> Plays:
    """620 plays of 12 users and 60 items; most lie at a boundary or a microsecond beside it.

    20 items are played once, at times that fall into validation, the test, or neither.
    """
    rng, tick = np.random.default_rng(SEED), timedelta(microseconds=1)
    near = [moment + step for moment in _MOMENTS for step in (-tick, timedelta(0), tick)]
    inside = [moment + timedelta(days=day) for moment in (_START, _VALIDATE, _T) for day in (5, 11, 25)]
    times = [*near, *inside, _START - timedelta(days=400), _END + timedelta(days=20)]
    rows = zip(rng.integers(12, size=600), rng.integers(40, size=600), rng.integers(len(times), size=600), strict=True)
    late = [(f"u{item % 12}", f"i{item + 40}", times[len(times) - 1 - item % 9]) for item in range(20)]
    return [*((f"u{user}", f"i{item}", times[time]) for user, item, time in rows), *late]


def _parts(plays: Plays) -> dict[str, Pairs]:
    """The parts of the `corrected` split, by the definition in words of `by_time`."""
    window = [play for play in plays if _START <= play[2] < _END]
    times: dict[tuple[str, str], list[datetime]] = defaultdict(list)
    for user, item, time in window:
        times[user, item].append(time)

    def pairs(low: datetime, high: datetime) -> Pairs:
        chosen = {pair: moments for pair, moments in times.items() if low <= min(moments) < high}
        return {pair: sum(moment < high for moment in moments) for pair, moments in chosen.items()}

    parts: dict[str, Pairs] = {}
    users = {user for user, _ in pairs(_START, _T)}
    for train, name, (at, until) in (("fit", "validation", (_VALIDATE, _T)), ("train", "test", (_T, _END))):
        parts[train] = pairs(_START, at)
        known, old = {user for user, _ in parts[train]} & users, {item for _, item in parts[train]}
        later = {pair: count for pair, count in pairs(at, until).items() if pair[0] in known}
        parts[f"{name}_hot"] = {pair: count for pair, count in later.items() if pair[1] in old}
        parts[f"{name}_cold"] = {pair: count for pair, count in later.items() if pair[1] not in old}
    return parts


def _candidates(parts: dict[str, Pairs], items: set[str]) -> dict[str, set[str]]:
    """The candidates by fold, scenario and policy ("test mixed tested"), by their definition in words."""
    candidates: dict[str, set[str]] = {}
    for train, fold in (("fit", "validation"), ("train", "test")):
        old, tested = {item for _, item in parts[train]}, {item for _, item in parts[f"{fold}_cold"]}
        for policy, new in (("tested", tested), ("catalogue", items - old)):
            candidates |= {
                f"{fold} hot {policy}": old,
                f"{fold} cold {policy}": new,
                f"{fold} mixed {policy}": old | new,
            }
    return candidates


def _task(split: Split, name: str) -> Task:
    fold, scenario, policy = name.split()
    return (split.test if fold == "test" else split.validation).task(scenario, policy)  # type: ignore[arg-type]


def _by_id(part: Interactions, split: Split) -> Pairs:
    users, items = split.users.ids.to_list(), split.items.ids.to_list()
    return {
        (users[user], items[item]): int(plays)
        for user, item, plays in zip(part.user, part.item, part.plays, strict=True)
    }


def _sorted(scores: Float32[Array, "items"], candidates: list[int], order: Int[Array, "items"], k: int) -> list[int]:
    return sorted(candidates, key=lambda item: (-float(scores[item]), int(order[item])))[:k]


def _listed(scores: Float32[Array, "users items"], items: Int[Array, "users k"]) -> Float32[Array, "users k"]:
    """The scores of listed items; -inf where there is none."""
    return np.where(items >= 0, np.take_along_axis(scores, items.clip(min=0), 1), np.float32(-np.inf))


class _Table(Scorer):
    """Scores of a table (users, items)."""

    can_rank_cold = True

    def __init__(self, table: Float32[Array, "users items"]) -> None:
        self.table = torch.from_numpy(table)

    def bind(self, items: Int[Array, "n"], device: torch.device) -> BoundScorer:
        """Gather the columns of these items."""
        columns = self.table[:, torch.from_numpy(items)].to(device)

        def score(rows: Int[Array, "u"], out: torch.Tensor) -> None:
            out.copy_(columns[torch.from_numpy(rows)])

        return score
