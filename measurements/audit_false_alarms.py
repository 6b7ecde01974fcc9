"""How often the audit refuses a run that has nothing wrong with it, and how often a run with a bad shuffle.

    python measurements/audit_false_alarms.py [--worlds 200] [--first 0] [--half] [--minutes 60]

Each world is a log of its own, an encoder of its own and artists who sound alike, with 30 new tracks in the test. A run
on it has KNN, artist-mean, popularity, EASE and a trained recommender, is run as `timbrec bench` does it, and audited
by all checks of a run. `--half`: KNN alone, the shuffled control leaves half of the tracks in place, and the check is
`profiles-own-rows`, which recomputes the control. Prints every refusal, and at
the end the share of refused worlds, its 95 % interval and the refusals by check. Stops after the given minutes with
the worlds so far. docs/audit.md has the figures.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from unittest import mock

import numpy as np
import polars as pl
from scipy.stats import binomtest

from timbrec.audit import Finding, audit_run
from timbrec.audit.audited import Audited
from timbrec.audit.profiles import profiles_own_rows
from timbrec.machine.devices import limit_threads
from timbrec.result import tables_of
from timbrec.store.vectors import Vectors
from timbrec.study import controls
from timbrec.study.config import make_config
from timbrec.study.grid import run_study
from timbrec.study.inputs import Inputs
from timbrec.study.runs import Run
from timbrec.types import Array, Float32
from timbrec.worlds.planted import PlantedWorld

USERS, TRACKS, ARTISTS = 200, 200, 24  # 15 % of the tracks are new in the test: 30
QUALITY = 0.7


def main() -> None:
    """Run and audit the worlds; print refusals and their share."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--worlds", type=int, default=200)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--half", action="store_true", help="the shuffle leaves half of the tracks in place")
    parser.add_argument("--minutes", type=float, default=60)
    options = parser.parse_args()
    started, ran, alarms, refused, done = time.perf_counter(), Counter[str](), Counter[str](), 0, 0
    for seed in range(options.first, options.first + options.worlds):
        if time.perf_counter() - started > 60 * options.minutes:
            break
        with tempfile.TemporaryDirectory() as folder, limit_threads(1):
            run, inputs = finished(Path(folder), seed, options.half)
            checked = [recomputed(run, inputs)] if options.half else audit_run(run, inputs)
        findings = [finding for finding in checked if not finding.passed]
        ran.update(finding.name for finding in checked if finding.checked)
        alarms.update(finding.name for finding in findings)
        refused, done = refused + bool(findings), done + 1
        for finding in findings:
            print(f"world {seed}: {finding.name}: {finding.figure}; {finding.detail}", flush=True)
    low, high = binomtest(refused, done).proportion_ci(method="exact")
    print(f"{refused} of {done} worlds refused ({refused / done:.1%}, 95 % interval {low:.1%} to {high:.1%})")
    print(f"by check: { ({name: f'{alarms[name]} of {times}' for name, times in ran.items()}) }")
    print(f"{time.process_time():.0f} s of processor time")


def recomputed(run: Run, inputs: Inputs) -> Finding:
    """The finding of `profiles-own-rows` alone."""
    return replace(profiles_own_rows(Audited(run, inputs)), name="profiles-own-rows")


def finished(folder: Path, seed: int, half: bool) -> tuple[Run, Inputs]:
    """A finished run on a world of its own, and its inputs."""
    world = PlantedWorld(USERS, TRACKS, seed=seed)
    artists = [f"artist {row}" for row in np.argmax(world.vectors(1.0, seed=1)[:, :ARTISTS], axis=1)]
    source = Vectors(world.split.items.ids, world.vectors(QUALITY))
    inputs = Inputs(world.events, world.events, world.split, {"encoder": source}, artists=pl.Series(artists))
    config = make_config(
        {
            "name": "clean",
            "output": str(folder),
            "interactions": {"path": "none"},
            "items": {"path": "none"},
            "encoders": {"encoder": {"vectors": "none"}},
            "split": {"test_at": "2019-02-01"},
            "recommenders": ["knn"] if half else [
                "knn", {"use": "knn", "scale": "centre", "label": "centred"}, "artist-mean", "ease",
                {"use": "hybrid", "epochs": 2, "width": 16},
            ],
            "seeds": [0, 1],
            "k": [10, 20],
            "metrics": ["hitrate", "recall", "ndcg"],
            "primary": "ndcg@20",
        }
    )  # fmt: skip
    run = Run.create(folder, {"config": config.model_dump(mode="json", exclude_none=True)}, inputs.split)
    with mock.patch.object(controls, "shuffled", half_shuffled if half else controls.shuffled):
        run_study(config, inputs, run)
    if not half:
        tables_of(run, None)
    return run, inputs


def half_shuffled(vectors: Float32[Array, "items dim"], seed: int) -> Float32[Array, "items dim"]:
    """The vectors of half of the tracks dealt to each other; the others stay."""
    order = np.arange(len(vectors))
    half = np.random.default_rng([seed, 0x5_4F]).permutation(len(vectors))[: len(vectors) // 2]
    order[half] = np.roll(half, 1)
    return vectors[order]


if __name__ == "__main__":
    main()
