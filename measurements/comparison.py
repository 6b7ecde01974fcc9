"""Coverage, errors, power and speed of the comparison of lines, on simulated worlds with known true values.

    python measurements/comparison.py [--worlds 2000] [--processes 1] [--only KIND] [--out FILE]
    python measurements/comparison.py --speed

The true value of a line is its mean over all worlds (see harness/taste_worlds.py). Goals: intervals of values hold the
truth in 93 to 97 %, intervals of paired differences in 93 to 98.5 %, and one of the five equal lines is wrongly placed
behind another in at most 6.5 % of worlds. Scenarios with fewer than 20 effective items are reported without a goal.
`crossed` is the method of earlier versions: clustering by relevant item, without ranking again.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from harness.full_size import K, task_and_outcomes
from harness.taste_worlds import EQUAL, GAPS, KINDS, LINES, Kind, World, draw

from timbrec.data.split import SCENARIOS, Scenario
from timbrec.metrics.ndcg import NDCG
from timbrec.statistics.comparison import compare
from timbrec.statistics.influence import influence
from timbrec.statistics.intervals import crossed

DRAWS = 1_000
FIRST, SECOND = np.triu_indices(LINES, 1)
SAME = SECOND < EQUAL  # pairs of equal lines
WORSE = [np.flatnonzero((FIRST < EQUAL) & (EQUAL + gap == SECOND)) for gap in range(len(GAPS))]
CROSSED = [(0, None), (0, 1), *((0, EQUAL + gap) for gap in range(len(GAPS)))]  # what the earlier method is asked
Setting = tuple[Kind, Scenario, bool]


def answers(setting: Setting, seed: int) -> dict[str, np.ndarray]:
    """Values, half widths and decisions of both methods in one world."""
    kind, scenario, artists_known = setting
    world, metric = draw(kind, scenario, seed), NDCG(kind.k)
    clusters = world.artists if artists_known else None
    lines = [influence(seeds, world.task, metric, clusters) for seeds in world.outcomes]
    comparison = compare(lines, ["trained"] * LINES, draws=DRAWS)
    pairs, equal = comparison.pairs, comparison.among(range(EQUAL))
    answer: dict[str, Any] = {
        "values": comparison.values,
        "half": comparison.half_widths,
        "differences": pairs.values,
        "single": pairs.single * pairs.standard_errors,
        "all": pairs.simultaneous * pairs.standard_errors,
        "effective": lines[0].effective_items,
        "eliminated": (~equal.tied).any(),
        "tied": comparison.tied,
        "flattery": equal.winner.flattery,
        "crossed": [_crossed(world, metric, first, second) for first, second in CROSSED],
    }
    return {name: np.asarray(value) for name, value in answer.items()}


def _crossed(world: World, metric: NDCG, first: int, second: int | None) -> tuple[float, float]:
    """Middle and half width of the earlier method's interval of a value, or of a difference, of the first seed."""
    signs = {first: 1.0} if second is None else {first: 1.0, second: -1.0}
    lists = {line: world.outcomes[line][0] for line in signs}
    gains = np.concatenate([sign * metric.gains(lists[line]) for line, sign in signs.items()], 1)
    items = np.concatenate([outcome.items[:, : metric.k] for outcome in lists.values()], 1)
    interval = crossed(gains, items, world.task.users, world.task.relevant)
    return interval.value, interval.high - interval.value


def summary(results: dict[str, np.ndarray]) -> dict[str, Any]:
    """Shares over worlds, as the goals define them; every array of `results` begins with an axis of worlds."""
    values, half, differences, single, everything, effective, eliminated, tied, flattery, old = (
        results[name] for name in results
    )
    truth = values.mean(0)
    truth[:EQUAL] = truth[:EQUAL].mean()
    true = truth[FIRST] - truth[SECOND]
    held, old_held = np.abs(differences - true) <= single, np.abs(old[:, 0, 0] - truth[0]) <= old[:, 0, 1]
    excess = values[:, :EQUAL].max(1) - truth[0]
    figures = {
        "worlds": len(values),
        "truth": truth[0],
        "value": (np.abs(values - truth) <= half)[:, :EQUAL].mean(),
        "value, worst line": (np.abs(values - truth) <= half).mean(0).min(),
        "value se / sd": (half[:, :EQUAL].mean(0) / 1.96 / values[:, :EQUAL].std(0)).mean(),
        "difference, equal": held[:, SAME].mean(),
        "difference, others": held[:, ~SAME].mean(),
        "difference, worst pair": held.mean(0).min(),
        "difference se / sd": (single[:, SAME].mean(0) / 1.96 / differences[:, SAME].std(0)).mean(),
        "all differences at once": (np.abs(differences - true) <= everything).all(1).mean(),
        "equal line eliminated": eliminated.mean(),
        "best kept": tied[:, truth >= truth.max()].any(1).mean(),
        "crossed: value": old_held.mean(),
        "crossed: difference, equal": (np.abs(old[:, 1, 0]) <= old[:, 1, 1]).mean(),
        "width": single[:, 0].mean() / old[:, 1, 1].mean(),
        "effective": effective.mean(),
        "winner's excess": excess.mean() / values[:, :EQUAL].std(0).mean(),
        "excess after correction": (excess - flattery).mean() / values[:, :EQUAL].std(0).mean(),
    }
    rounded: dict[str, Any] = {name: round(float(figure), 4) for name, figure in figures.items()}
    return rounded | {"power": [_power(results, gap, true) for gap in range(len(GAPS))]}


def _power(results: dict[str, np.ndarray], gap: int, true: np.ndarray) -> dict[str, float]:
    """How often a true difference is found: of the first line to the worse one, by each method."""
    pairs, differences, old = WORSE[gap], results["differences"], results["crossed"][:, 2 + gap]
    first = pairs[0]
    figures = {
        "difference": true[first],
        "found": (differences[:, first] > results["single"][:, first]).mean(),
        "crossed: found": (old[:, 0] > old[:, 1]).mean(),
        "found, all at once": (differences[:, pairs] > results["all"][:, pairs]).mean(),
    }
    return {name: round(float(figure), 4) for name, figure in figures.items()}


def run(job: tuple[Setting, int, int]) -> dict[str, np.ndarray]:
    """The answers of the worlds start to stop of a setting, stacked."""
    setting, start, stop = job
    worlds = [answers(setting, seed) for seed in range(start, stop)]
    return {name: np.stack([world[name] for world in worlds]) for name in worlds[0]}


def settings(only: str, changes: dict[str, float]) -> dict[str, Setting]:
    """Kinds of worlds, scenarios, and whether the method knows the artists, by name."""
    kinds = [replace(kind, **changes) for kind in KINDS]
    every = {
        f"{kind.name}, {scenario}{', artists known' if clusters else ''}": (kind, scenario, clusters)
        for kind in kinds
        for scenario in SCENARIOS
        for clusters in ((False, True) if kind.artist else (False,))
    }
    return {name: setting for name, setting in every.items() if only in name}


def simulate(chosen: dict[str, Setting], worlds: int, batch: int, processes: int, out: Path | None) -> dict[str, Any]:
    """The summary of every setting; written to `out` after each batch of worlds."""
    parts: dict[str, list[dict[str, np.ndarray]]] = defaultdict(list)
    table: dict[str, Any] = {}
    with ProcessPoolExecutor(processes) as pool:
        for start in range(0, worlds, batch):
            jobs = [(setting, start, min(start + batch, worlds)) for setting in chosen.values()]
            for name, answer in zip(chosen, pool.map(run, jobs), strict=True):
                parts[name].append(answer)
            for name, answered in parts.items():
                table[name] = summary({key: np.concatenate([part[key] for part in answered]) for key in answered[0]})
            if out:
                out.write_text(json.dumps(table, indent=1))
    return table


COLUMNS = {
    "value": "values", "difference, equal": "differences", "difference, others": "unequal",
    "equal line eliminated": "eliminated", "best kept": "best kept", "crossed: value": "crossed: values",
    "crossed: difference, equal": "crossed: differences", "width": "width / crossed",
}  # fmt: skip


def markdown(table: dict[str, Any]) -> list[str]:
    """The rows of docs/statistics.md, in percent: coverage, then power."""
    header = ["worlds", "n", *COLUMNS.values(), "effective items"]
    rows = [
        [name, f"{row['worlds']:.0f}", *(f"{100 * row[column]:.1f}" for column in COLUMNS), f"{row['effective']:.0f}"]
        for name, row in table.items()
    ]
    lines = ["| " + " | ".join(cells) + " |" for cells in [header, ["---"] * len(header), *rows]]
    return [*lines, "", *_power_rows(table)]


def _power_rows(table: dict[str, Any]) -> list[str]:
    header = ["worlds", *(f"{gap:g}" for gap in GAPS)]
    cells = [header, ["---"] * len(header)]
    for name, row in table.items():
        powers = [
            f"{power['difference']:.3f}: {100 * power['found']:.1f} / {100 * power['crossed: found']:.1f}"
            f" / {100 * power['found, all at once']:.1f}"
            for power in row["power"]
        ]
        cells.append([name, *powers])
    return ["| " + " | ".join(row) + " |" for row in cells]


def speed() -> None:
    """Print the seconds and the peak memory of a comparison of full size, 10,000 draws, by step."""
    task, outcomes = task_and_outcomes()
    lines, spent = [], 0.0
    for outcome in outcomes:
        started = time.perf_counter()
        lines.append(influence([outcome], task, NDCG(K)))
        spent += time.perf_counter() - started
    started = time.perf_counter()
    comparison = compare(lines)
    comparison.tied, comparison.winner, comparison.intervals, comparison.gains([(0, 1), (2, 3)])
    compared = time.perf_counter() - started
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{len(lines)} lines, {len(task.users):,} users, {len(task.candidates):,} candidates, k = {K}")
    print(f"influences {spent:.1f} s, comparison {compared:.1f} s, together {spent + compared:.1f} s; {memory:.2f} GiB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worlds", type=int, default=2_000)
    parser.add_argument("--batch", type=int, default=50, help="worlds of each kind between two tables")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--only", default="", help="run the settings whose name contains this")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="change a field of every kind")
    parser.add_argument("--out", type=Path, help="write all figures here after each batch, as JSON")
    parser.add_argument("--speed", action="store_true", help="measure the time of one scenario of full size instead")
    chosen = parser.parse_args()
    changes = {key: json.loads(value) for key, value in (pair.split("=") for pair in chosen.set)}
    if chosen.speed:
        speed()
    else:
        table = simulate(settings(chosen.only, changes), chosen.worlds, chosen.batch, chosen.processes, chosen.out)
        print("\n".join(markdown(table)))


if __name__ == "__main__":
    main()
