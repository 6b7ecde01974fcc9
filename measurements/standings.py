"""Tables of docs/recommender-measurements.md: default settings on validation folds, and their gain from popularity.

Beside each figure stands the figure of the same scores with the log of the item's players added, in the share that is
best for the users training stopped on. A gain shows popularity that the recommender has not learned itself.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from defaults import Case, case, show

from timbrec.metrics.popularity import MeanPopularity
from timbrec.protocols import Scorer
from timbrec.ranking.outcomes import outcome
from timbrec.ranking.rank import rank
from timbrec.recommenders import recommender
from timbrec.training import validate

NAMES = ("popularity", "knn", "shallow", "contrastive", "hybrid", "bert4rec", "elsa", "ease")
SHARES = (0.0, 0.1, 0.2, 0.4, 0.8, 1.6)


@dataclass(frozen=True, eq=False)
class Blended(Scorer):
    """`scores` (users, items), looked up."""

    scores: np.ndarray

    def bind(self, items: np.ndarray, device: torch.device) -> Callable[[np.ndarray, torch.Tensor], None]:
        def score(rows: np.ndarray, out: torch.Tensor) -> None:
            out.copy_(torch.from_numpy(self.scores[np.ix_(rows, items)]))

        return score


def blends(scorer: Scorer, world_case: Case) -> dict[float, Scorer]:
    """The scores of train items, each user's of deviation 1, with shares of the log of the players added."""
    train = world_case.stop.train
    scores = np.zeros((train.n_users, train.n_items), np.float32)
    scores[:, train.items] = scorer.score(np.arange(train.n_users), train.items).numpy()
    known = scores[:, train.items]
    scores /= np.maximum(known.std(1, keepdims=True), 1e-9)
    players = np.log(np.maximum(train.item_users, 1))
    players = (players / players[train.items].std()).astype(np.float32)
    return {share: Blended(scores + share * players) for share in SHARES}


def measure(name: str, world: str, seed: int, data: Path | None) -> dict[str, Any]:
    world_case = case(world, seed, data)
    scorer = recommender(name, {}).fit(
        world_case.stop.train, world_case.content, world_case.stop, np.random.default_rng(seed)
    )
    mixed = blends(scorer, world_case)
    share = max(SHARES, key=lambda column: validate(mixed[column], world_case.stop, "hot"))
    task = world_case.judge.task("hot")
    lists = rank(scorer, task.users, task.candidates, world_case.judge.train, 50)
    return {
        "world": world, "recommender": name, "seed": seed, "hot": validate(scorer, world_case.judge, "hot"),
        "cold": validate(scorer, world_case.judge, "cold") if scorer.can_rank_cold else None,
        "percentile": MeanPopularity(50).value(outcome(lists.items, task, world_case.judge.train)),
        "blended": validate(mixed[share], world_case.judge, "hot"), "share": share,
    }  # fmt: skip


def main() -> None:
    outside = os.environ.get("TIMBREC_TEST_DATA")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path(outside, "data") if outside else None)
    parser.add_argument("--out", type=Path, default=Path("defaults"))
    parser.add_argument("--worlds", nargs="+", default=["plain", "rough", "hetrec"])
    parser.add_argument("--names", nargs="+", default=NAMES)
    parser.add_argument("--seeds", type=int, default=3)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    chosen.out.mkdir(parents=True, exist_ok=True)
    path = chosen.out / "standings.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    done = {(row["world"], row["recommender"], row["seed"]) for row in rows}
    for seed in range(1, chosen.seeds + 1):
        for world in [column for column in chosen.worlds if column != "hetrec" or chosen.data]:
            for name in chosen.names:
                if (world, name, seed) not in done:
                    rows.append(measure(name, world, seed, chosen.data))
                    with path.open("a") as file:
                        file.write(json.dumps(rows[-1]) + "\n")
                    print(rows[-1], flush=True)
    mean = [pl.col(column).mean().round(4) for column in ("hot", "blended", "share", "percentile", "cold")]
    frame = pl.DataFrame(rows).group_by("world", "recommender", maintain_order=True).agg(*mean, pl.len().alias("folds"))
    show("Standings", frame)


if __name__ == "__main__":
    main()
