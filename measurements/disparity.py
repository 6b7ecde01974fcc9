"""Coverage of the intervals of rank correlations between probes and recommendation, on planted worlds.

Encoders have a quality for labels and one for taste, from a population with no, half or full agreement. The probe is a
ridge regression, the recommender KNN on new tracks. Intervals for these encoders should hold the tau of their true
qualities, intervals for encoders like these the tau of the population, both in 95 % of the worlds.
"""

from __future__ import annotations

import argparse
import sys

import numpy as np
from harness.label_worlds import draw

from timbrec.probes.shared import heads
from timbrec.statistics.agreement import agreement, critical_tau, kendall

heads.PENALTIES = (1e-3,)  # one ridge regression: the search is not what is measured


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--worlds", type=int, default=500)
    parser.add_argument("--encoders", type=int, nargs="*", default=[8])
    parser.add_argument("--taus", type=float, nargs="*", default=[0.0, 0.5, 1.0])
    arguments = parser.parse_args()
    print(
        "encoders | tau of the population | worlds | these | like these | width | width like | significant | mean tau"
    )
    for n in arguments.encoders:
        for tau in arguments.taus:
            show(n, tau, arguments.worlds)


def show(n: int, tau: float, worlds: int) -> None:
    rows = []
    for seed in range(worlds):
        world = draw(tau, n, seed)
        sides = world.probe, world.recommender
        result = agreement(
            sides[0].values, sides[0].covariance, sides[1].values, sides[1].covariance, seed=seed, draws=500
        )
        true = kendall(world.label_quality, world.taste_quality)
        critical = critical_tau(n) or np.inf
        rows.append([
            result.tau.low - 1e-9 <= true <= result.tau.high + 1e-9, result.like.low <= tau <= result.like.high,
            result.tau.high - result.tau.low, result.like.high - result.like.low,
            abs(result.tau.value) >= critical - 1e-9, result.tau.value,
        ])  # fmt: skip
        if seed % 100 == 99:
            print(f"{n} {tau} {seed + 1}", np.mean(rows, axis=0).round(3), file=sys.stderr, flush=True)
    print(f"{n} | {tau} | {worlds} |", " | ".join(f"{value:.3f}" for value in np.mean(rows, axis=0)), flush=True)


if __name__ == "__main__":
    main()
