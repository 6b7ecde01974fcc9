"""Contrastive at the study's settings against its floor, one epoch.

Target: at most 1.5 times the floor. With n train items in a batch and every width d, a step must do

- both towers: 2 layers of 2 n d^2 forward and as much for the weights, and half of it for the second layer's input:
  10 n d^2 a tower;
- ADCL: 2 n^2 d each for the similarities and for the gradients of both sides: 6 n^2 d;
- bytes: the 2 n rows of the tables, read; Adam over 4 (d^2 + d) weights.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
from harness.floor import ADAM, FLOAT, Probe, Work
from harness.scale import DIM, content, train
from harness.steps import Steps, interleaved, report, timed

from timbrec.recommenders.contrastive import Contrastive, ContrastiveModel


def floor(n: int) -> Work:
    """Of a step on n items."""
    products = 2 * 10 * n * DIM**2 + 6 * n**2 * DIM
    return Work(products, 2 * n * DIM * FLOAT + 4 * (DIM**2 + DIM) * ADAM)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="share of the study's users and tracks")
    parser.add_argument("--rounds", type=int, default=4)
    chosen = parser.parse_args()
    torch.manual_seed(0)
    pairs, settings = train(chosen.scale), Contrastive()
    factors = np.random.default_rng(1).standard_normal((pairs.n_items, settings.factors), dtype=np.float32)
    ours = Steps(ContrastiveModel(settings, pairs, content(pairs.n_items), factors), settings, pairs)
    n = min(settings.batch, len(pairs.items))
    medians, rates = interleaved({"ours": timed(ours)}, Probe(1024, n, DIM), chosen.rounds)
    least = floor(n).seconds(rates)
    report(
        f"contrastive, {len(pairs.items):,} train items, ELSA's factors given",
        [
            ("step / floor", medians["ours"] / least, "<= 1.5"),
            ("seconds an epoch", medians["ours"] * ours.per_epoch, ""),
        ],
        rates=rates,
    )


if __name__ == "__main__":
    main()
