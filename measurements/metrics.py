"""All metrics of the study's users against their ranking, and against rs_metrics.

Target: a tenth of the ranking time at most, and at least 20 times faster than rs_metrics on the same three metrics.
"""

from __future__ import annotations

import argparse

import numpy as np
import rs_metrics
from harness import DEPTH, DIM, ITEMS, RELEVANT, SEEN, machine, medians, pairs, seconds, unit_vectors

from timbrec.data.interactions import Interactions
from timbrec.data.split import Task
from timbrec.ranking.outcomes import outcome
from timbrec.ranking.rank import rank
from timbrec.ranking.scorers import DotScorer
from timbrec.results.figures import make_metrics

ALL = ("hitrate", "recall", "precision", "ndcg", "mrr", "map", "coverage", "popularity", "cold-share", "cold-recall")
THREE = ("hitrate", "recall", "ndcg")


def ours(lists: np.ndarray, task: Task, train: Interactions, names: tuple[str, ...], ks: list[int]) -> list[float]:
    """The values of the metrics at every k, from the lists up."""
    outcomes = outcome(lists, task, train)
    return [metric.value(outcomes) for metric in make_metrics(names, ks, task.scenario)]


def theirs(lists: dict[int, list[int]], relevant: dict[int, list[int]]) -> list[float]:
    """The same three metrics by rs_metrics, from the dictionaries it works on."""
    return [getattr(rs_metrics, name)(relevant, lists, k=DEPTH) for name in THREE]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    rng = np.random.default_rng(0)
    train, relevant = pairs(chosen.users, SEEN, rng), pairs(chosen.users, RELEVANT, rng)
    task = Task("hot", np.arange(ITEMS), relevant)
    scorer = DotScorer(unit_vectors(chosen.users, rng), unit_vectors(ITEMS, rng))
    lists: list[np.ndarray] = []
    ranking = seconds(lambda: lists.append(rank(scorer, task.users, task.candidates, train, DEPTH).items))
    as_lists = dict(enumerate(lists[0].tolist()))
    as_relevant = {user: relevant.item[relevant.user == user].tolist() for user in range(chosen.users)}
    taken = medians(
        {
            "all": lambda: ours(lists[0], task, train, ALL, [10, 20, 50, DEPTH]),
            "three": lambda: ours(lists[0], task, train, THREE, [DEPTH]),
            "rs_metrics": lambda: theirs(as_lists, as_relevant),
        },
        chosen.rounds,
    )
    per_user = 1000 / chosen.users
    print(f"{chosen.users:,} users, lists of {DEPTH} of {ITEMS:,} items x {DIM}; {machine()}")
    print(f"ranking {ranking:.2f} s, {len(ALL)} metrics at 4 k {taken['all']:.3f} s")
    print(f"three metrics {taken['three'] * per_user:.4f} ms a user, rs_metrics {taken['rs_metrics'] * per_user:.4f}")
    print(f"all metrics / ranking: {taken['all'] / ranking:.3f} (target <= 0.1)")
    print(f"rs_metrics / ours, three metrics: {taken['rs_metrics'] / taken['three']:.1f} (target >= 20)")
    np.testing.assert_allclose(ours(lists[0], task, train, THREE, [DEPTH]), theirs(as_lists, as_relevant), atol=1e-12)


if __name__ == "__main__":
    main()
