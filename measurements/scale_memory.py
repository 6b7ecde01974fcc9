"""Peak memory of a trained recommender's fit at parts of the target size, and the line through the peaks at size 1.

Size 1 is that of scale.py: 1,000,000 users and tracks x 768, and 90 train pairs per user. A fit has two epochs of a few
steps each, a validation, a checkpoint and its scorer; `--only steps` takes the steps alone, as in scale.py. The peak
does not depend on the number of steps. Of BERT4Rec's users only some get their states, which take hours for all, but
the table has the rows of all. Every size runs in a process of its own. Target: under 16 GiB at size 1.

    python measurements/scale_memory.py                                  # Shallow Net
    python measurements/scale_memory.py --of hybrid bert4rec
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from harness.steps import Steps
from scale import FULL, TRAINED, vectors_of

from timbrec.data.interactions import Interactions
from timbrec.data.split import Fold
from timbrec.protocols import Content, Workspace
from timbrec.recommenders import bert4rec, recommender
from timbrec.recommenders.bert4rec import user_states
from timbrec.recommenders.shared.sequences import Sequences
from timbrec.recommenders.shared.transformer import ItemTransformer
from timbrec.training import judge, loop

SIZES = (1 / 32, 1 / 16, 1 / 8)
PAIRS_PER_USER, STEPS, EPOCHS, VALIDATED = 90, 3, 2, 200


def pairs(users: int, tracks: int) -> Interactions:
    """As many tracks of each user, spread over the catalogue at random."""
    wide = tracks // PAIRS_PER_USER
    item = np.arange(PAIRS_PER_USER) * wide + np.random.default_rng(0).integers(wide, size=(users, PAIRS_PER_USER))
    user = np.repeat(np.arange(users), PAIRS_PER_USER)
    return Interactions(user, item.ravel(), np.ones(len(user), np.int64), np.arange(len(user)), users, tracks)


def validation(train: Interactions) -> Fold:
    """A fold with a hot pair of some users, of a track that they have not played."""
    free = (train.item[::PAIRS_PER_USER][:VALIDATED] + 1) % train.n_items
    once = np.ones(VALIDATED, np.int64)
    hot = Interactions(np.arange(VALIDATED), free, once, once, train.n_users, train.n_items)
    return Fold(train, hot, hot.where(np.zeros(VALIDATED, bool)))


class ShortEpoch(list):
    """The first batches of an epoch. The order of the whole one is kept, because training keeps it."""

    def __init__(self, *given: Any) -> None:
        self.order = judge.batches(*given)
        super().__init__(islice(self.order, STEPS))


def states_of_some(
    transformer: ItemTransformer, items: np.ndarray, sequences: Sequences, users: np.ndarray
) -> np.ndarray:
    """A table of the states of these users, with those of the first ones."""
    states = np.ones((len(users), items.shape[1]), np.float32)  # zeros would take no memory
    states[:VALIDATED] = user_states(transformer, items, sequences, users[:VALIDATED])
    return states


def alone(name: str, size: float, only: str) -> None:
    """Train in this process, and print the peak memory in GiB."""
    train = pairs(round(FULL.users * size), round(FULL.tracks * size))
    content = Content(vectors_of(train.n_items, FULL.dim))
    settings: Any = recommender(name, TRAINED[name] | {"epochs": EPOCHS, "stop_on": "hot"})
    if only == "steps":
        torch.manual_seed(0)
        steps = Steps(settings.model(train, content, np.random.default_rng(0)), settings, train)
        for _ in range(STEPS):
            steps()
    else:
        loop.batches = ShortEpoch  # type: ignore[attr-defined]
        bert4rec.user_states = states_of_some
        with tempfile.TemporaryDirectory() as folder:
            settings.fit(train, content, validation(train), np.random.default_rng(0), Workspace(Path(folder)))
    print(json.dumps(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--of", nargs="+", default=["shallow"], choices=list(TRAINED))
    parser.add_argument("--sizes", type=float, nargs="+", default=SIZES)
    parser.add_argument("--only", choices=["fit", "steps"], default="fit")
    parser.add_argument("--alone", action="store_true", help="the first recommender and size, in this process")
    chosen = parser.parse_args()
    if chosen.alone:
        return alone(chosen.of[0], chosen.sizes[0], chosen.only)
    for name in chosen.of:
        peaks = []
        for size in chosen.sizes:
            given = ["--of", name, "--sizes", str(size), "--only", chosen.only, "--alone"]
            done = subprocess.run([sys.executable, __file__, *given], check=True, stdout=subprocess.PIPE, text=True)
            peaks.append(float(done.stdout.splitlines()[-1]))
            print(f"{name}, {chosen.only}, size {size:g}: {peaks[-1]:.2f} GiB", flush=True)
        if len(peaks) > 1:
            slope, base = np.polyfit(chosen.sizes, peaks, 1)
            print(
                f"{name}, {chosen.only}: {base:.2f} + {slope:.2f} size GiB, {base + slope:.1f} GiB at size 1",
                flush=True,
            )
    return None


if __name__ == "__main__":
    main()
