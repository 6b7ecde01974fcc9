"""Ranking on a GPU at the study's size against the bare matrix product there, and against the same lists on the CPU.

One command on a machine with a GPU; without one it says so and ends with code 2 (`--device cpu` shows that it runs).
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
from gpu_encoders import wait
from harness import DEPTH, DIM, ITEMS, SEEN, machine, medians, pairs, unit_vectors

from timbrec.machine.devices import device_of
from timbrec.ranking.rank import rank
from timbrec.ranking.scorers import DotScorer

BLOCK = 512  # users per matrix product, as in `rank`


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--users", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--compared", type=int, default=512, help="users whose lists are also made on the CPU")
    chosen = parser.parse_args()
    if chosen.device == "cuda" and not torch.cuda.is_available():
        raise SystemExit("there is no GPU that PyTorch can use; --device cpu shows that the script runs")
    device, rng = device_of(chosen.device), np.random.default_rng(0)
    users, items = unit_vectors(chosen.users, rng), unit_vectors(ITEMS, rng)
    train, scorer = pairs(chosen.users, SEEN, rng), DotScorer(users, items)
    on_device, block = torch.from_numpy(items).to(device), torch.empty(BLOCK, ITEMS, device=device)

    def product() -> None:
        for part in torch.from_numpy(users).to(device).split(BLOCK):
            torch.mm(part, on_device.T, out=block[: len(part)])
        wait()

    def ranked(name: torch.device, rows: np.ndarray) -> np.ndarray:
        return rank(scorer, rows, np.arange(ITEMS), train, DEPTH, device=name).items

    everyone, compared = np.arange(chosen.users), np.arange(min(chosen.compared, chosen.users))
    product()
    taken = medians({"product": product, "rank": lambda: ranked(device, everyone)}, chosen.rounds)
    rate = 2e-12 * chosen.users * ITEMS * DIM
    equal = (ranked(device, compared) == ranked(torch.device("cpu"), compared)).mean()
    print(f"{chosen.users:,} users x {ITEMS:,} items x {DIM}, top {DEPTH}, on {device}; {machine()}")
    print(f"bare product {rate / taken['product']:.2f} TFLOP/s, rank {rate / taken['rank']:.2f} TFLOP/s")
    print(f"rank / bare product: {taken['rank'] / taken['product']:.2f}")
    print(f"places of the lists with the same item as on the CPU: {equal:.4f} (target >= 0.999)")


if __name__ == "__main__":
    main()
