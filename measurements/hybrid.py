"""Hybrid against the usual way to write it and against its floor, one epoch at a tenth of the study's scale.

Targets: at a large user batch an epoch at least 8 times as fast as the naive one at the study's 128 users, at most 1.5
times the floor per step, and a tenth of the memory of the naive loss at 2,048 users. Larger batches take fewer steps,
so the time to the same validation NDCG@50 is printed too (`--quality`). With u users, n items, p plays, d dimensions
and a tower of width w, a step must do

- the tower: 2 n (d w + w^2) forward, as much for its weights, and 2 n w^2 for the second layer's input;
- the norms of the predictions and their gradients through A^T A, 4 n w^2 + 4 u w^2, or through the product of all users
  with all items, 6 u n w, whichever is less;
- the sums of p rows of w, forward and again backward;
- bytes: the n rows of the content, read forward and for the weights' gradient; Adam over d w + w^2 + 2 w weights.

The naive way makes dense rows of a row-wise data set and the users x items prediction. Memory is what a forward and a
backward pass of the loss, from the items' vectors to their gradient, add to a process of its own at their peak.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np
import torch
from harness.floor import ADAM, FLOAT, Probe, Work
from harness.peak import peak, peak_elsewhere
from harness.scale import DIM, content, split, train, world
from harness.steps import Steps, interleaved, report, timed
from torch import nn
from torch.nn.functional import mse_loss, normalize

from timbrec.data.interactions import Interactions
from timbrec.protocols import Content, Workspace
from timbrec.recommenders.hybrid import Hybrid
from timbrec.recommenders.shared.losses import nmse

LARGE, MEMORY = 4096, 2048  # users


class Rows(torch.utils.data.Dataset):  # type: ignore[type-arg] # torch's own examples have none either
    """A user's plays as a dense row."""

    def __init__(self, pairs: Interactions) -> None:
        self.pairs = pairs

    def __len__(self) -> int:
        return self.pairs.n_users

    def __getitem__(self, user: int) -> torch.Tensor:
        row = torch.zeros(self.pairs.n_items)
        row[torch.from_numpy(self.pairs.item[self.pairs.starts[user] : self.pairs.starts[user + 1]])] = 1
        return row


def dense(x: torch.Tensor, vectors: torch.Tensor) -> torch.Tensor:
    """The loss as the study writes it."""
    return mse_loss(normalize(x @ vectors @ vectors.T - x, dim=-1), normalize(x, dim=-1))


class NaiveEpoch:
    """Forward, backward and Adam on every batch of dense rows."""

    def __init__(self, settings: Hybrid, pairs: Interactions, items: torch.Tensor, batch: int) -> None:
        self.items = items
        self.tower = nn.Sequential(nn.Linear(DIM, settings.width), nn.ReLU(), nn.Linear(settings.width, settings.width))
        self.loader = torch.utils.data.DataLoader(Rows(pairs), batch, shuffle=True)
        self.optimizer = torch.optim.Adam(self.tower.parameters(), settings.lr)

    def __call__(self) -> None:
        for x in self.loader:
            self.optimizer.zero_grad()
            dense(x, normalize(self.tower(self.items))).backward()
            self.optimizer.step()


def floor(pairs: Interactions, users: int, batches: int) -> Work:
    """Of an epoch."""
    n, u, w = len(pairs.items), min(users, pairs.n_users), Hybrid().width
    norms = min(4 * n * w**2 + 4 * u * w**2, 6 * u * n * w)
    products = batches * (4 * n * DIM * w + 6 * n * w**2 + norms)
    moved = batches * (2 * n * DIM * FLOAT + (DIM * w + w**2 + 2 * w) * ADAM)
    return Work(products, moved, summed=2 * len(pairs) * w * FLOAT)


def loss_bytes(way: str, scale: float) -> int:
    """Peak of a loss and its gradient, at MEMORY users, or all where there are fewer."""
    pairs = train(scale)
    nmse(torch.tensor([0, 2]), torch.tensor([0, 1]), normalize(torch.randn(64, 8)).requires_grad_(), 64).backward()
    dense(torch.ones(4, 64), normalize(torch.randn(64, 8)).requires_grad_()).backward()  # what stays once it ran
    starts, items = pairs.starts[: MEMORY + 1], pairs.item[: pairs.starts[min(MEMORY, pairs.n_users)]]
    vectors = normalize(torch.randn(pairs.n_items, DIM)).requires_grad_()
    if way == "naive":
        return peak(lambda: dense(_rows(starts, items, pairs.n_items), vectors).backward())
    sparse = torch.from_numpy(starts), torch.from_numpy(items)
    return peak(lambda: nmse(*sparse, vectors, pairs.n_items).backward())


def _rows(starts: np.ndarray, items: np.ndarray, n_items: int) -> torch.Tensor:
    x = torch.zeros(len(starts) - 1, n_items)
    x[torch.from_numpy(np.repeat(np.arange(len(x)), np.diff(starts))), torch.from_numpy(items)] = 1
    return x


def speed(scale: float, rounds: int) -> None:
    """Epochs, and the memory of the loss."""
    pairs, vectors = train(scale), content(train(scale).n_items)
    torch.manual_seed(0)
    epochs = {}
    for batch in (LARGE, Hybrid().batch):
        settings = Hybrid(batch=batch)
        epochs[batch] = Steps(settings.model(pairs, vectors, np.random.default_rng(0)), settings, pairs)
    items = torch.from_numpy(vectors.vectors[pairs.items])
    column = np.cumsum(pairs.item_users > 0) - 1
    warm = Interactions(pairs.user, column[pairs.item], pairs.plays, None, pairs.n_users, len(items))
    naive = {batch: NaiveEpoch(Hybrid(), warm, items, batch) for batch in (LARGE, Hybrid().batch)}
    calls = {
        f"ours {batch}": timed(lambda trained=trained: [trained() for _ in range(trained.per_epoch)])
        for batch, trained in epochs.items()
    }
    calls |= {f"naive {batch}": timed(trained) for batch, trained in naive.items()}
    width = Hybrid().width
    medians, rates = interleaved(calls, Probe(len(items), DIM, width, table=(len(items), width)), rounds)
    least = {batch: floor(pairs, batch, trained.per_epoch).seconds(rates) for batch, trained in epochs.items()}
    small = Hybrid().batch
    memory = {way: peak_elsewhere(__file__, "--scale", str(scale), "--peak", way) for way in ("ours", "naive")}
    report(
        f"hybrid, {pairs.n_users:,} users, {len(items):,} train items",
        [
            (f"naive at {small} / ours at {LARGE:,}", medians[f"naive {small}"] / medians[f"ours {LARGE}"], ">= 8"),
            (f"naive / ours, both at {LARGE:,} users", medians[f"naive {LARGE}"] / medians[f"ours {LARGE}"], ""),
            (f"naive / ours, both at {small} users", medians[f"naive {small}"] / medians[f"ours {small}"], ""),
            (f"ours / floor, {LARGE:,} users", medians[f"ours {LARGE}"] / least[LARGE], "<= 1.5"),
            (f"ours / floor, {small} users", medians[f"ours {small}"] / least[small], "<= 1.5"),
            (f"memory of the loss at {MEMORY:,} users, ours / naive", memory["ours"] / memory["naive"], "<= 0.1"),
        ],
        rates=rates, peak=", ".join(f"{way} {size / 2**20:,.0f} MiB" for way, size in memory.items()),
    )  # fmt: skip


def quality(scale: float, epochs: int) -> None:
    """Seconds until the validation NDCG@50 that both batch sizes reach, by the log that training keeps."""
    fold, vectors = split(scale).validation, Content(world(scale).vectors(0.5, DIM, 0))
    courses = {}
    for batch in (LARGE, Hybrid().batch):
        with tempfile.TemporaryDirectory() as folder:
            settings = Hybrid(batch=batch, epochs=epochs)
            settings.fit(fold.train, vectors, fold, np.random.default_rng(0), Workspace(Path(folder)))
            log = [json.loads(line) for line in (Path(folder) / "log.jsonl").read_text().splitlines()]
        courses[batch] = np.array([[entry["seconds"], entry["ndcg@50 mixed"]] for entry in log])
    aim = min(course[:, 1].max() for course in courses.values())
    for batch, course in courses.items():
        last = int(np.argmax(course[:, 1] >= aim))
        until = course[: last + 1, 0].sum()
        print(f"{batch} users a step: {until:.1f} s, {last + 1} epochs to {aim:.4f}; best {course[:, 1].max():.4f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--scale", type=float, default=0.1, help="share of the study's users and tracks")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peak", choices=["ours", "naive"], help="print the peak bytes of the loss")
    parser.add_argument("--quality", type=int, metavar="EPOCHS", help="time to equal validation NDCG@50 instead")
    chosen = parser.parse_args()
    if chosen.peak:
        print(json.dumps(loss_bytes(chosen.peak, chosen.scale)))
    elif chosen.quality:
        quality(chosen.scale, chosen.quality)
    else:
        speed(chosen.scale, chosen.rounds)


if __name__ == "__main__":
    main()
