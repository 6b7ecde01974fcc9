"""KNN and the four trained content models at a tenth of the study's scale, as `timbrec bench` fits and ranks.

Default settings; fitted to early stop on the month before the test, fitted again on all of train, then ranked hot,
cold and mixed. Target: under 30 minutes on two idle cores, all five together. Vectors carry half of the taste.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from dataclasses import asdict
from pathlib import Path

from harness import machine
from harness.scale import DIM, split, world

from timbrec.data.split import SCENARIOS, Split
from timbrec.metrics.ndcg import NDCG
from timbrec.protocols import Content, Workspace
from timbrec.ranking.outcomes import outcome
from timbrec.recommenders import recommender
from timbrec.study.cell import run_cell
from timbrec.study.experiment import Experiment
from timbrec.study.representation import Representation, Source

ALL = ("knn", "shallow", "contrastive", "hybrid", "bert4rec")
LONGEST = 30 * 60


MADE = Representation("made", (Source("made", "made"),))


def cell(
    name: str, settings: dict[str, object], cut: Split, content: Content, k: int, logs: Path | None
) -> dict[str, object]:
    """Fit and ask one recommender; its seconds, epochs and NDCG@k. The trainings are logged in `logs`."""
    fitted = recommender(name, settings)
    experiment = Experiment(
        split=cut.digest, representation=MADE, control="real", artists=None, recommender=name,
        settings=asdict(fitted), version=fitted.version, label=name, seed=0, depth=k + 1, cold_candidates="tested",
    )  # fmt: skip
    started = time.perf_counter()
    done = run_cell(experiment, cut, content, Workspace(logs and logs / name))
    facts: dict[str, object] = {"seconds": time.perf_counter() - started}
    facts["epochs"] = done.chosen.get("epochs", 0)
    for scenario in SCENARIOS:
        task = cut.test.task(scenario, "tested")
        lists = done.lists.get(scenario)
        facts[scenario] = math.nan if lists is None else NDCG(k).value(outcome(lists.items, task, cut.test.train))
    return facts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", help=f"by default {' '.join(ALL)}")
    parser.add_argument("--scale", type=float, default=0.1, help="share of the study's users and tracks")
    parser.add_argument("--epochs", type=int, help="at most; to see that it runs")
    parser.add_argument("--logs", type=Path, help="keep the log of each training in this folder")
    chosen = parser.parse_args()
    cut, vectors = split(chosen.scale), world(chosen.scale).vectors(0.5, DIM, 0)
    total = 0.0
    train = cut.test.train
    print(f"{train.n_users:,} users, {train.n_items:,} tracks, {len(train):,} pairs; {machine()}")
    print("| recommender | minutes | best epoch | NDCG@50 hot | cold | mixed |\n|---|---|---|---|---|---|")
    for name in chosen.names or ALL:
        settings: dict[str, object] = {"epochs": chosen.epochs} if chosen.epochs and name != "knn" else {}
        facts = cell(name, settings, cut, Content(vectors), 50, chosen.logs)
        total += float(str(facts["seconds"]))
        figures = " | ".join(f"{facts[scenario]:.4f}" for scenario in SCENARIOS)
        print(f"| {name} | {float(str(facts['seconds'])) / 60:.1f} | {facts['epochs']} | {figures} |", flush=True)
    print(f"all: {total / 60:.1f} minutes (target < {LONGEST // 60})")
    print(json.dumps({"benchmark": "tenth scale", "minutes": total / 60}))


if __name__ == "__main__":
    main()
