"""BERT4Rec against the usual way to write it, against its floor, and sampled against full softmax.

Targets: with the full softmax at equal width at least 4 times the naive tokens per second at no more than .083 of the
memory, and at most 2 times the floor; with the sampled softmax at least 2 times the speed of the full one at 56,000
tracks and 5 times at a million, at 99 % of its NDCG@50 or more (`--quality`).

A token is a track of a sequence; padding is none. A step on sequences of lengths l with t tokens, m of them masked,
over c classes of d dimensions projected to w, in L layers with feed-forward f, must do

- the projection of the classes: 2 c (d w + w^2) forward, as much for its weights, and 2 c w^2 between its two layers;
- the layers: 2 t (4 w^2 + 2 w f) and 4 w times the sum of l^2, in the last one only keys and values of all tokens and
  the rest at the masked ones: 2 t 2 w^2 + 2 m (2 w^2 + 2 w f) and 4 w times the sum of l m_l; backward twice all that;
- the softmax: 2 m c w each for the logits and the gradients of both sides;
- bytes: c rows of d, read; the c projected rows, written, and their gradient, written and read; Adam over the weights.

The naive way is PyTorch's encoder on sequences padded to the full length, all tracks projected, logits of every
position and the stock cross-entropy. 128 sequences of it do not fit, so it runs on 8, and all but the projection counts
16 times. Memory is measured on 8 sequences on both sides, by the peak resident size in processes of their own; the
naive one at 128 is 16 times its own, which is an estimate.
"""

from __future__ import annotations

import argparse
import json

import numpy as np
import torch
from harness import seconds
from harness.floor import ADAM, FLOAT, Probe, Work
from harness.peak import peak, peak_elsewhere
from harness.scale import DIM, TRACKS, content, train
from harness.steps import Steps, interleaved, report, timed
from scipy import stats
from torch import nn

from timbrec.data.interactions import Interactions
from timbrec.protocols import Content
from timbrec.recommenders.bert4rec import BERT4Rec
from timbrec.recommenders.shared.sequences import PADDING, Sequences
from timbrec.training import validate
from timbrec.worlds.planted import PlantedWorld

SLICE = 8  # sequences of the naive way
BATCH = 128  # sequences of the study's steps; the default takes fewer
FULL, SAMPLED = {"exact_up_to": 2**62}, {"exact_up_to": 1}


class Naive(nn.Module):
    """Logits of every position over every track."""

    def __init__(self, settings: BERT4Rec, items: torch.Tensor) -> None:
        super().__init__()
        width, self.length = settings.width or DIM, settings.length
        self.items, self.project = items, nn.Sequential(nn.Linear(DIM, width), nn.ReLU(), nn.Linear(width, width))
        self.mask, self.positions = nn.Parameter(torch.zeros(width)), nn.Embedding(self.length, width)
        self.norm, self.dropout = nn.LayerNorm(width), nn.Dropout(settings.dropout)
        layer = nn.TransformerEncoderLayer(
            width, settings.heads, settings.feed_forward, settings.dropout, "gelu", batch_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, settings.layers)

    def projected(self) -> torch.Tensor:
        """All tracks."""
        table: torch.Tensor = self.project(self.items)
        return table

    def forward(self, tracks: torch.Tensor, masked: torch.Tensor) -> torch.Tensor:
        """The mean cross-entropy at the masked places."""
        table, padding = self.projected(), tracks == PADDING
        embedded = torch.where(masked[..., None], self.mask, table[tracks.clamp(min=0)])
        embedded = self.dropout(self.norm(embedded + self.positions.weight))
        logits = self.encoder(embedded, src_key_padding_mask=padding) @ table.T
        labels = torch.where(masked, tracks, -100)
        return nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten())


class NaiveStep:
    """Seconds of a step on `batch` sequences, from one on a slice of them and from the projection alone."""

    def __init__(self, settings: BERT4Rec, pairs: Interactions, items: torch.Tensor) -> None:
        self.settings, self.sequences = settings, Sequences(pairs)
        self.model = Naive(settings, items)
        self.optimizer, self.rng = torch.optim.Adam(self.model.parameters(), settings.lr), np.random.default_rng(0)

    def __call__(self) -> float:
        """The slice but its projection, as often as needed, and the projection once."""
        projection = seconds(lambda: self.model.projected().sum().backward())
        return (seconds(self.step) - projection) * self.settings.batch / SLICE + projection

    def step(self) -> None:
        """Forward, backward and Adam on some users."""
        users = self.rng.choice(self.sequences.users, SLICE, replace=False)
        tracks = np.full((SLICE, self.settings.length), PADDING)
        latest = self.sequences.latest(users, self.settings.length)
        tracks[:, : latest.shape[1]] = latest
        masked = (tracks != PADDING) & (self.rng.random(tracks.shape) < self.settings.mask)
        self.optimizer.zero_grad()
        self.model(torch.from_numpy(tracks), torch.from_numpy(masked)).backward()
        self.optimizer.step()


def floor(lengths: np.ndarray, classes: int, settings: BERT4Rec) -> Work:
    """Of a step on sequences of these lengths."""
    width, feed, share = settings.width or DIM, settings.feed_forward, settings.mask
    tokens, squares = lengths.sum(), (lengths.astype(float) ** 2).sum()
    masked = share * tokens
    layer = 2 * tokens * (4 * width**2 + 2 * width * feed) + 4 * width * squares
    last = 2 * tokens * 2 * width**2 + 2 * masked * (2 * width**2 + 2 * width * feed) + 4 * width * squares * share
    products = (
        3 * ((settings.layers - 1) * layer + last)
        + classes * (4 * DIM * width + 6 * width**2)
        + 6 * masked * classes * width
    )
    weights = DIM * width + width**2 + settings.layers * (4 * width**2 + 2 * width * feed) + settings.length * width
    return Work(products, classes * FLOAT * (DIM + 3 * width) + weights * ADAM)


def steps(pairs: Interactions, settings: BERT4Rec) -> Steps:
    """Of our own way."""
    torch.manual_seed(0)
    return Steps(settings.model(pairs, content(pairs.n_items), np.random.default_rng(0)), settings, pairs)


def full_softmax(scale: float, rounds: int) -> None:
    """Speed and memory against the naive way and the floor."""
    pairs, settings = train(scale), BERT4Rec(**FULL, batch=BATCH)
    ours, sampled = steps(pairs, settings), steps(pairs, BERT4Rec(**SAMPLED, batch=BATCH))
    naive = NaiveStep(settings, pairs, torch.from_numpy(content(pairs.n_items).vectors))
    probe = Probe(1024, len(pairs.items), settings.width or DIM)

    def lengths() -> np.ndarray:
        """Of the sequences in the step that ours took last."""
        return np.minimum(pairs.user_items[pairs.users[ours.rows]], settings.length)

    def bound() -> Work:
        """The floor of that step."""
        return floor(lengths(), len(pairs.items), settings)

    calls = {
        "ours": timed(ours), "tokens": lambda: float(lengths().sum()), "products": lambda: bound().products,
        "moved": lambda: bound().moved, "sampled": timed(sampled), "naive": naive,
    }  # fmt: skip
    measured, rates = interleaved(calls, probe, rounds)
    least = Work(measured["products"], measured["moved"]).seconds(rates)
    memory = {way: peak_elsewhere(__file__, "--scale", str(scale), "--peak", way) for way in ("ours", "naive", "whole")}
    report(
        f"bert4rec, {len(pairs.items):,} classes, {settings.batch} sequences, {measured['tokens']:,.0f} tokens a step",
        [
            ("naive / ours, full softmax", measured["naive"] / measured["ours"], ">= 4"),
            ("ours / floor, full softmax", measured["ours"] / least, "<= 2"),
            (f"peak memory, ours / naive, {SLICE} sequences", memory["ours"] / memory["naive"], "<= 0.083"),
            (f"peak memory, ours / naive, {settings.batch} sequences (estimate)",
             memory["whole"] / (memory["naive"] * settings.batch / SLICE), "<= 0.083"),
            ("full / sampled, seconds a step", measured["ours"] / measured["sampled"], ">= 2"),
            ("tokens a second, full softmax", measured["tokens"] / measured["ours"], ""),
        ],
        rates=rates, peak=", ".join(f"{way} {size / 2**20:,.0f} MiB" for way, size in memory.items()),
    )  # fmt: skip


def peak_of(way: str, scale: float) -> int:
    """Peak memory of a step after a first step has made the lasting allocations."""
    pairs = train(scale)
    if way == "naive":
        naive = NaiveStep(BERT4Rec(), pairs, torch.from_numpy(content(pairs.n_items).vectors))
        call = naive.step
    else:
        call = steps(pairs, BERT4Rec(**FULL, batch=SLICE if way == "ours" else BATCH))
    return peak(call)


def million(users: int, rounds: int) -> None:
    """Full against sampled over a million tracks, which the study's are spread over."""
    pairs, factor = train(1.0), 1_000_000 // TRACKS
    rng = np.random.default_rng(0)
    item = pairs.item * factor + rng.integers(factor, size=len(pairs))
    spread = Interactions(pairs.user, item, pairs.plays, pairs.first, pairs.n_users, 1_000_000)
    vectors = content(spread.n_items)
    variants = {}
    for name, kind in (("full", FULL), ("sampled", SAMPLED)):
        settings = BERT4Rec(**kind, batch=users, targets="catalogue", scale="none")
        torch.manual_seed(0)
        variants[name] = Steps(settings.model(spread, vectors, np.random.default_rng(0)), settings, spread)
    measured, rates = interleaved(
        {name: timed(variant) for name, variant in variants.items()}, Probe(64, 10**6, 256), rounds
    )
    report(
        f"bert4rec, 1,000,000 classes, {users} sequences",
        [("full / sampled, seconds a step", measured["full"] / measured["sampled"], ">= 5")],
        rates=rates,
    )


def quality(seeds: int) -> None:
    """NDCG@50 of sampled over full softmax after 20 epochs on planted worlds; a seed is a world and a start.

    The share of the classes that is drawn is the default's at the study's scale. Both begin with the same weights and
    end at the same epoch: where early stop ends is luck, by which two fits with the full softmax are 4 % apart.
    """
    ratios = []
    for seed in range(seeds):
        world = PlantedWorld(users=1_000, items=20_000, seed=seed)
        fold, vectors = world.split.validation, Content(world.vectors(0.9))
        measured, samples = [], BERT4Rec().samples * len(fold.train.items) // TRACKS
        for kind in (FULL, SAMPLED | {"samples": samples}):
            settings = BERT4Rec(**kind, width=64, length=60, feed_forward=64, epochs=20)
            fitted = settings.fit(fold.train, vectors, None, np.random.default_rng(seed))
            measured.append(validate(fitted, fold, "mixed"))
        ratios.append(measured[1] / measured[0])
        figures = f"full {measured[0]:.4f}, sampled {measured[1]:.4f}, ratio {ratios[-1]:.4f}"
        print(f"seed {seed}: {len(fold.train.items):,} classes, {samples:,} drawn: {figures}", flush=True)
    half = stats.t.ppf(0.975, seeds - 1) * np.std(ratios, ddof=1) / np.sqrt(seeds)
    report(f"bert4rec, {seeds} planted worlds", [("NDCG@50, sampled / full", float(np.mean(ratios)), ">= 0.99")],
           interval=f"+- {half:.4f}")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--scale", type=float, default=1.0, help="share of the study's users and tracks")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--million", action="store_true", help="a million tracks instead")
    parser.add_argument("--users", type=int, default=16, help="sequences a step over a million tracks")
    parser.add_argument("--peak", choices=["ours", "naive", "whole"], help="print the peak bytes of a step")
    parser.add_argument("--quality", type=int, metavar="SEEDS", help="compare NDCG@50 on so many planted worlds")
    chosen = parser.parse_args()
    if chosen.peak:
        print(json.dumps(peak_of(chosen.peak, chosen.scale)))
    elif chosen.quality:
        quality(chosen.quality)
    elif chosen.million:
        million(chosen.users, chosen.rounds)
    else:
        full_softmax(chosen.scale, chosen.rounds)


if __name__ == "__main__":
    main()
