"""Whether "about n more cold tracks would show it" comes true, on simulated worlds with a known difference.

    python measurements/more_data.py [--worlds 300] [--out FILE]

In worlds of one size, the sentence of each world is computed for the true difference of two lines (its mean over all
worlds). Then worlds of the size that the median sentence names are drawn, with as many plays per track, and it is
counted how often the difference is shown there, by the comparison of all pairs. The goal is the 80 % that the sentence
stands for; more candidates also change the difference itself, which is printed for both sizes.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
from harness.taste_worlds import EQUAL, GAPS, KINDS, LINES, Kind, draw

from timbrec.metrics.ndcg import NDCG
from timbrec.statistics.comparison import Comparison, compare
from timbrec.statistics.influence import influence
from timbrec.statistics.needed import needed

DRAWS = 1_000
MOST = 10  # growth of tracks alone; beyond it, users grow too
NAMES = ("plain", "heavy-tailed users", "few cold tracks")


def comparison(kind: Kind, seed: int) -> Comparison:
    """All lines of a world, cold."""
    world, metric = draw(kind, "cold", seed), NDCG(kind.k)
    lines = [influence(seeds, world.task, metric) for seeds in world.outcomes]
    return compare(lines, ["trained"] * LINES, draws=DRAWS)


def shown(comparisons: list[Comparison], worse: int) -> float:
    """The share of worlds in which line 0 is shown to be better, among all pairs."""
    return float(np.mean([item.difference(0, worse).low > 0 for item in comparisons]))


def row(kind: Kind, gap: int, small: list[Comparison], worlds: int) -> dict[str, object]:
    """Differences and shares of worlds that show them, before and after the test grows."""
    worse = EQUAL + gap
    values = np.mean([item.values for item in small], 0)
    amounts = [needed(replace(item, values=values), 0, worse) for item in small]
    items, together = np.median([(amount.items, amount.together) for amount in amounts if amount is not None], 0)
    larger = grown(kind, items, 1.0) if items <= MOST else grown(kind, together, together)
    wider = replace(larger, k=round(kind.k * larger.new / kind.new))
    groups = [small, *([comparison(item, worlds + seed) for seed in range(worlds)] for item in (larger, wider))]
    return {
        "worlds": f"{kind.name}, gap {GAPS[gap]}",
        "tracks": (kind.new, larger.new),
        "users": (kind.users, larger.users),
        "k": (kind.k, larger.k, wider.k),
        "difference": [round(float(np.mean([item.values[0] - item.values[worse] for item in group])), 4)
                       for group in groups],
        "shown": [round(shown(group, worse), 3) for group in groups],
    }  # fmt: skip


def grown(kind: Kind, tracks: float, users: float) -> Kind:
    """The kind with more tracks and users, and as many plays per track and user."""
    relevant = (1 + kind.relevant) * tracks / users - 1
    return replace(kind, new=round(kind.new * tracks), users=round(kind.users * users), relevant=relevant)


def main() -> None:
    """Print a row per kind of world and gap."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--worlds", type=int, default=300)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    rows = []
    for kind in (kind for kind in KINDS if kind.name in NAMES):
        small = [comparison(kind, seed) for seed in range(options.worlds)]
        for gap in (2, 3):
            rows.append(row(kind, gap, small, options.worlds))
            print(rows[-1], flush=True)
    if options.out:
        options.out.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
