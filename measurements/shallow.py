"""Shallow Net at the study's settings against the usual way to write it and against its floor, one epoch.

Target: at least 15 times the naive speed, at most 2 times the floor. A step has b pairs with k negative users each, u
distinct users and i distinct items among them, d dimensions. It must do

- the layer: 2 d^2 (u + i) forward, as much for its weights, and 2 d^2 u for the users, which are learned;
- the scores: 2 b (k + 1) d;
- bytes: the distinct rows of both tables, read, and one more row read for every score; Adam over all users, whether or
  not they were drawn: dense Adam moves every row.

The naive way is a row-wise data set that draws the negatives of one pair at a time, and a tower run on user, item and
negative of each of the b k triplets. It is run on a slice of the pairs, without the optimiser, whose step over the
whole table is then added once for every b pairs.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
from harness import seconds
from harness.floor import ADAM, FLOAT, Probe, Work
from harness.scale import DIM, content, train
from harness.steps import Steps, interleaved, report, timed
from torch import nn

from timbrec.data.interactions import Interactions
from timbrec.recommenders.shallow import ShallowNet


class Rows(torch.utils.data.Dataset):  # type: ignore[type-arg] # torch's own examples have none either
    """A pair and its negatives, drawn on access."""

    def __init__(self, pairs: Interactions, size: int, negatives: int) -> None:
        self.pairs, self.size, self.negatives = pairs, size, negatives
        self.rng = np.random.default_rng(0)
        self.played = [set[int]() for _ in range(pairs.n_items)]
        for user, item in zip(pairs.user.tolist(), pairs.item.tolist(), strict=True):
            self.played[item].add(user)

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, row: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        user, item, negatives = int(self.pairs.user[row]), int(self.pairs.item[row]), []
        while len(negatives) < self.negatives:
            other = int(self.rng.integers(self.pairs.n_users))
            if other not in self.played[item]:
                negatives.append(other)
        repeated = torch.full((self.negatives,), user), torch.full((self.negatives,), item)
        return *repeated, torch.tensor(negatives)


class Naive(nn.Module):
    """The towers run on every triplet."""

    def __init__(self, users: torch.Tensor, items: torch.Tensor) -> None:
        super().__init__()
        self.users = nn.Embedding.from_pretrained(users, freeze=False)
        self.items = nn.Embedding.from_pretrained(items, freeze=True)
        self.tower, self.cosine = nn.Sequential(nn.Linear(DIM, DIM), nn.ReLU()), nn.CosineSimilarity()

    def forward(self, user: torch.Tensor, item: torch.Tensor, negative: torch.Tensor) -> torch.Tensor:
        """The mean hinge."""
        for_user, for_item = self.tower(self.users(user)), self.tower(self.items(item))
        positive, against = self.cosine(for_user, for_item), self.cosine(self.tower(self.users(negative)), for_item)
        return torch.relu(0.2 - positive + against).mean()


class NaiveStep:
    """Seconds that the naive way takes for a batch, by a slice of it."""

    def __init__(self, settings: ShallowNet, pairs: Interactions, items: torch.Tensor, slice_of: int) -> None:
        self.model, self.times = Naive(torch.randn(pairs.n_users, DIM), items), settings.batch / slice_of
        self.loader = torch.utils.data.DataLoader(Rows(pairs, slice_of, settings.negatives), slice_of, shuffle=True)
        self.optimizer = torch.optim.Adam(self.model.parameters(), settings.lr)

    def __call__(self) -> float:
        """The slice's forward and backward pass, scaled, and one step of Adam."""
        slice_takes = seconds(self._slice)
        return slice_takes * self.times + seconds(self.optimizer.step)

    def _slice(self) -> None:
        for triplets in self.loader:
            self.model(*(column.flatten() for column in triplets)).backward()


def floor(pairs: Interactions, rows: np.ndarray, settings: ShallowNet) -> Work:
    """Of a step on these pairs; nearly every user is drawn by the 200,000 negatives."""
    b, k = len(rows), settings.negatives
    drawn = pairs.n_users * (1 - (1 - 1 / pairs.n_users) ** (b * (k + 1)))
    items = len(np.unique(pairs.item[rows]))
    products = 2 * DIM**2 * (3 * drawn + 2 * items) + 2 * b * (k + 1) * DIM
    gathered = (drawn + items + b * (k + 1)) * DIM * FLOAT
    return Work(products, gathered + (pairs.n_users * DIM + DIM**2 + DIM) * ADAM)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="share of the study's users and tracks")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--slice", type=int, default=500, help="pairs of the naive way, scaled up")
    chosen = parser.parse_args()
    torch.manual_seed(0)
    pairs, settings = train(chosen.scale), ShallowNet(width=None, negatives=20)  # the study's
    vectors = content(pairs.n_items)
    ours = Steps(settings.model(pairs, vectors, np.random.default_rng(0)), settings, pairs)
    naive = NaiveStep(settings, pairs, torch.from_numpy(vectors.vectors), chosen.slice)
    probe = Probe(settings.batch, DIM, DIM)
    medians, rates = interleaved({"ours": timed(ours), "naive": naive}, probe, chosen.rounds)
    least = floor(pairs, ours.rows, settings).seconds(rates)
    report(
        f"shallow, {len(pairs):,} pairs, {ours.per_epoch} steps an epoch",
        [
            ("naive / ours", medians["naive"] / medians["ours"], ">= 15"),
            ("ours / floor", medians["ours"] / least, "<= 2"),
            ("seconds an epoch", medians["ours"] * ours.per_epoch, ""),
        ],
        rates=rates,
    )


if __name__ == "__main__":
    main()
