"""Ranking at the study's size against the bare matrix product and against a search per user.

Target: at most 1.10 times the product, at least 18 times faster than the loop. The ratio to the product is the median
over pairs of a product and a ranking, one after the other, in processor time of this process.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import faiss
import numpy as np
import torch
from harness import DEPTH, DIM, ITEMS, SEEN, machine, pairs, seconds, unit_vectors

from timbrec.data.interactions import Interactions
from timbrec.ranking.rank import rank
from timbrec.ranking.scorers import DotScorer

BLOCK = 512  # users per matrix product, as in `rank`


def product(users: torch.Tensor, items: torch.Tensor) -> None:
    """All scores, block by block into the same memory, and nothing else."""
    block = torch.empty(BLOCK, len(items))
    for block_users in users.split(BLOCK):
        torch.mm(block_users, items.T, out=block[: len(block_users)])


def search_per_user(index: faiss.Index, users: np.ndarray, train: Interactions) -> list[list[int]]:
    """One exact search per user, deep enough to drop the seen items from it in Python."""
    lists = []
    for user, vector in enumerate(users):
        seen = set(train.item[train.starts[user] : train.starts[user + 1]].tolist())
        _, nearest = index.search(vector[None], DEPTH + len(seen))
        lists.append([item for item in nearest[0].tolist() if item not in seen][:DEPTH])
    return lists


def processor_seconds(call: Callable[[], object]) -> float:
    """Processor time of one call, all threads together."""
    started = time.process_time()
    call()
    return time.process_time() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--searched", type=int, default=200, help="users of the per-user search, scaled up")
    chosen = parser.parse_args()
    rng = np.random.default_rng(0)
    users, items = unit_vectors(chosen.users, rng), unit_vectors(ITEMS, rng)
    train, everyone = pairs(chosen.users, SEEN, rng), np.arange(chosen.users)
    scorer = DotScorer(users, items)
    index = faiss.IndexFlatIP(DIM)
    index.add(items)
    calls = {
        "product": lambda: product(torch.from_numpy(users), torch.from_numpy(items)),
        "rank": lambda: rank(scorer, everyone, np.arange(ITEMS), train, DEPTH),
    }
    taken = np.array([[processor_seconds(call) for call in calls.values()] for _ in range(chosen.rounds)])
    wall = seconds(calls["rank"])
    search = seconds(lambda: search_per_user(index, users[: chosen.searched], train)) * chosen.users / chosen.searched
    rates = 2e-9 * chosen.users * ITEMS * DIM / np.median(taken, axis=0)
    print(f"{chosen.users:,} users x {ITEMS:,} items x {DIM}, top {DEPTH}, {SEEN} seen; {machine()}")
    print(f"bare product {rates[0]:.0f}, rank {rates[1]:.0f} GFLOP per second of processor time")
    print(f"rank / bare product: {np.median(taken[:, 1] / taken[:, 0]):.2f} (target <= 1.10)")
    print(f"search per user / rank: {search / wall:.1f} (target >= 18; {search:.0f} s, scaled up, and {wall:.1f} s)")


if __name__ == "__main__":
    main()
