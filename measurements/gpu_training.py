"""The whole scale on this machine's accelerator: some steps of each model, as shares of its peak.

For a machine with a GPU; on a CPU it runs at a small `--scale` to show that it runs. Prints for every model the seconds
of a step and of an epoch, the examples (BERT4Rec: tokens) a second, and the multiplications and additions of its floor
a second as a share of the rate of a bare matrix product of 8192 x 8192 x 8192 (smaller on a CPU) in float32, measured
in the same run. KNN is fitted whole.
"""

from __future__ import annotations

import argparse
import json

import bert4rec
import contrastive
import hybrid
import numpy as np
import shallow
import torch
from harness import machine, seconds
from harness.floor import Work
from harness.scale import content, train
from harness.steps import Steps

from timbrec.data.interactions import Interactions
from timbrec.recommenders.bert4rec import BERT4Rec
from timbrec.recommenders.contrastive import Contrastive, ContrastiveModel
from timbrec.recommenders.hybrid import Hybrid
from timbrec.recommenders.knn import KNN
from timbrec.recommenders.shallow import ShallowNet
from timbrec.training.recommender import TrainedRecommender
from timbrec.training.trainable import Trainable

SETTINGS: tuple[TrainedRecommender, ...] = (ShallowNet(), Contrastive(), Hybrid(), BERT4Rec())


def wait(device: torch.device) -> None:
    """Wait until the device has finished."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def peak_rate(device: torch.device) -> float:
    """Operations a second of a large product; the best of five tries."""
    side = 8192 if device.type == "cuda" else 2048
    left, right, out = (torch.randn(side, side, device=device) for _ in range(3))

    def product() -> None:
        torch.mm(left, right, out=out)
        wait(device)

    return 2 * side**3 / min(seconds(product) for _ in range(5))


def made(settings: TrainedRecommender, pairs: Interactions) -> Trainable:
    """The model; Contrastive's ELSA factors are drawn, not fitted."""
    vectors, rng = content(pairs.n_items), np.random.default_rng(0)
    if isinstance(settings, Contrastive):
        return ContrastiveModel(
            settings, pairs, vectors, rng.standard_normal((pairs.n_items, settings.factors), np.float32)
        )
    return settings.model(pairs, vectors, rng)


def work(settings: TrainedRecommender, pairs: Interactions, rows: np.ndarray) -> tuple[Work, int]:
    """The floor of a step and the examples, or tokens, in it."""
    if isinstance(settings, ShallowNet):
        return shallow.floor(pairs, rows, settings), len(rows)
    if isinstance(settings, Contrastive):
        return contrastive.floor(len(rows)), len(rows)
    if isinstance(settings, Hybrid):
        return hybrid.floor(pairs, len(rows), 1), len(rows)
    assert isinstance(settings, BERT4Rec)
    lengths = np.minimum(pairs.user_items[pairs.users[rows]], settings.length)
    return bert4rec.floor(lengths, len(pairs.items), settings), int(lengths.sum())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--scale", type=float, default=1.0, help="share of the study's users and tracks")
    parser.add_argument("--steps", type=int, default=20)
    chosen = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    pairs, rate = train(chosen.scale), peak_rate(device)
    name = torch.cuda.get_device_name() if device.type == "cuda" else machine()
    print(f"{pairs.n_users:,} users, {pairs.n_items:,} tracks, {len(pairs):,} pairs; {name}, {rate / 1e12:.2f} TFLOP/s")
    print("| model | s a step | s an epoch | examples a second | of the peak |\n|---|---|---|---|---|")
    rng, vectors = np.random.default_rng(0), content(pairs.n_items)
    fitting = seconds(lambda: KNN().fit(pairs, vectors, None, rng))
    print(f"| KNN | | {fitting:.2f} | {pairs.n_users / fitting:,.0f} | |")
    for settings in SETTINGS:
        torch.manual_seed(0)
        model = made(settings, pairs).to(device)
        steps = Steps(model, settings, pairs)
        steps()
        wait(device)
        taken, operations, examples = 0.0, 0.0, 0
        for _ in range(chosen.steps):
            taken += seconds(lambda: (steps(), wait(device)))  # noqa: B023 - called at once
            least, seen = work(settings, pairs, steps.rows)
            operations, examples = operations + least.products, examples + seen
        share, step = operations / taken / rate, taken / chosen.steps
        label = type(settings).__name__
        print(f"| {label} | {step:.4f} | {step * steps.per_epoch:.1f} | {examples / taken:,.0f} | {share:.0%} |")
        print(json.dumps({"benchmark": f"training, {label}", "epoch": step * steps.per_epoch, "share": share}))


if __name__ == "__main__":
    main()
