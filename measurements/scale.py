"""Costs at a catalogue's size, step by step, and how they grow: in each dimension alone, or in all but the vectors'.

Size 1 is 1,000,000 tracks x 768, 1,000,000 users and 100,000,000 events. Each step runs in a process of its own, one
after the other, and reports its processor time and its peak memory. Target: under 16 GiB, and cost at most linear.
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import torch
from harness.steps import Steps

import timbrec
from timbrec.api import report
from timbrec.data.cuts import by_time
from timbrec.data.log import LogConfig, read_log
from timbrec.data.split import load_split, save_split
from timbrec.data.vocabulary import Vocabulary
from timbrec.protocols import Content
from timbrec.ranking.rank import rank
from timbrec.recommenders import recommender
from timbrec.recommenders.knn import KNN
from timbrec.result import run_of
from timbrec.store import StoreInfo, VectorStore


class Shape(NamedTuple):
    """The size of a log and its vectors."""

    users: int
    tracks: int
    events: int
    dim: int

    def grown(self, name: str, factor: float) -> Shape:
        """A shape with one dimension multiplied, or with `all` of the log's."""
        names = ("users", "tracks", "events") if name == "all" else (name,)
        return self._replace(**{each: round(getattr(self, each) * factor) for each in names})


FULL = Shape(1_000_000, 1_000_000, 100_000_000, 768)
BASE = Shape(10_000, 10_000, 500_000, 96)  # from here, each dimension grows alone
SAMPLE, DEPTH = 20_000, 100  # users whose lists are ranked, and their lengths
FRESH = 0.02  # share of the tracks that are played in the test month only
AT_ONCE = 5_000_000  # events in a file of the log
PER_COMMIT = 100_000
SIZES = (0.01, 0.02, 0.04, 0.08)
START, VALIDATE, T, END = (datetime(*month, 1) for month in ((2018, 2), (2019, 1), (2019, 2), (2019, 3)))
TRAINED = {"shallow": {}, "hybrid": {}, "bert4rec": {"exact_up_to": 1}}
BYTES_PER_EVENT = 40  # of the log on disk, at most


def write_log(folder: Path, shape: Shape) -> dict[str, float]:
    """Write a random log as Parquet files in a folder. Popular tracks have more events, fresh ones only late events."""
    users, tracks, events, _ = shape
    if shutil.disk_usage(folder).free < 2 * BYTES_PER_EVENT * events:
        raise SystemExit(f"{folder} has too little room for {events:,} events; set --folder")
    (folder / "log").mkdir(exist_ok=True)
    span, late = ((END - at) / timedelta(microseconds=1) for at in (START, T))
    for part, start in enumerate(range(0, events, AT_ONCE)):
        rng, rows = np.random.default_rng([0, part]), min(AT_ONCE, events - start)
        item = (rng.random(rows) ** 2 * tracks).astype(np.int64)
        fresh = item % round(1 / FRESH) == 0
        since = np.where(fresh, span - late * rng.random(rows), span * rng.random(rows))
        columns = {"user_id": rng.integers(users, size=rows), "track_id": item}
        table = pl.DataFrame(columns).select(pl.format("{}{}", pl.lit(name[0]), name).alias(name) for name in columns)
        at = np.datetime64(START, "us") + since.astype("timedelta64[us]")
        table.with_columns(timestamp=at).write_parquet(folder / "log" / f"part-{part:04d}.parquet")
    return {"events": events}


def read_and_split(folder: Path, shape: Shape) -> dict[str, float]:
    """Read the log, restrict it to the catalogue and cut it; keep the split."""
    started = time.process_time()
    events = read_log(LogConfig(path=folder / "log"))
    read = time.process_time() - started
    split = by_time(events.restricted_to(Vocabulary(events.items.ids)), START, VALIDATE, T, END)
    cut = time.process_time() - started - read
    save_split(split, folder / "split")
    return {"read_s": read, "split_s": cut, "train_pairs": len(split.test.train)}


def vectors_of(tracks: int, dim: int) -> np.ndarray:
    """Random vectors: costs do not depend on their content."""
    return np.random.default_rng(0).standard_normal((tracks, dim), dtype=np.float32)


def knn(folder: Path, shape: Shape) -> dict[str, float]:
    """Fit KNN on the train part; hot and cold lists of a sample of the users."""
    fold = load_split(folder / "split").test
    content, started = Content(vectors_of(fold.train.n_items, shape.dim)), time.process_time()
    scorer = KNN().fit(fold.train, content, None, np.random.default_rng(0))
    facts = {"fit_s": time.process_time() - started}
    for scenario in ("hot", "cold"):
        task, started = fold.task(scenario, "tested"), time.process_time()
        users = task.users[: max(64, round(SAMPLE * min(1.0, shape.events / FULL.events)))]
        rank(scorer, users, task.candidates, fold.train, DEPTH)
        taken = time.process_time() - started
        facts |= {
            f"{scenario}_s": taken,
            f"{scenario}_users": len(users),
            f"{scenario}_candidates": len(task.candidates),
        }
        facts[f"{scenario}_s_per_sample"] = taken / len(users) * SAMPLE
    return facts


def training(name: str, folder: Path, shape: Shape, steps: int) -> dict[str, float]:
    """Some steps of an epoch of a trained recommender, and the epoch's time from them."""
    train = load_split(folder / "split").test.train
    settings: Any = recommender(name, TRAINED[name])
    torch.manual_seed(0)
    started = time.process_time()
    model = settings.model(train, Content(vectors_of(train.n_items, shape.dim)), np.random.default_rng(0))
    taken = Steps(model, settings, train)
    taken()
    facts = {"start_s": time.process_time() - started}
    started = time.process_time()
    for _ in range(steps):
        taken()
    step = (time.process_time() - started) / steps
    return facts | {"step_s": step, "steps": taken.per_epoch, "epoch_s": step * taken.per_epoch}


def write_store(path: Path, shape: Shape, ids: str) -> None:
    """A new store of random vectors, in commits; `ids` is the format of an id."""
    shutil.rmtree(path, ignore_errors=True)
    info = StoreInfo(
        "random", "1", layer=None, pool="mean", over="time", windows="whole", dim=shape.dim, dtype="float16"
    )
    opened, rng = VectorStore.create(path, info), np.random.default_rng(0)
    for start in range(0, shape.tracks, PER_COMMIT):
        rows = range(start, min(start + PER_COMMIT, shape.tracks))
        vectors = rng.standard_normal((len(rows), shape.dim), dtype=np.float32).astype(np.float16)
        opened.append([ids.format(row) for row in rows], vectors)


def store(folder: Path, shape: Shape) -> dict[str, float]:
    """Append vectors to a store in commits, open it, and fetch a hundred vectors by id."""
    tracks, path = shape.tracks, folder / "store"
    started = time.process_time()
    write_store(path, shape, "track{:09d}")
    appended, started = time.process_time() - started, time.process_time()
    VectorStore.open(path).aligned([f"track{row:09d}" for row in range(0, tracks, max(tracks // 100, 1))])
    facts = {"append_s": appended, "open_s": time.process_time() - started}
    shutil.rmtree(path)
    return facts


def bench(folder: Path, shape: Shape) -> dict[str, float]:
    """A benchmark with KNN, its controls and baselines on the log; then its figures and page alone."""
    path, output = folder / "vectors", folder / "run"
    write_store(path, shape, "t{}")
    split = {"start": START, "validate_at": VALIDATE, "test_at": T, "end": END}
    config = {
        "name": "scale", "interactions": {"path": folder / "log"}, "encoders": {"random": {"vectors": path}},
        "recommenders": ["knn"], "split": split, "output": output,
    }  # fmt: skip
    started = time.process_time()
    timbrec.bench(config)
    facts = {"bench_s": time.process_time() - started}
    (output / "figures.json").unlink()  # otherwise figures of an unchanged run are read
    started = time.process_time()
    report(run_of(output))
    shutil.rmtree(path)
    return facts | {"report_s": time.process_time() - started}


def steps_of(trained: int) -> dict[str, Callable[[Path, Shape], dict[str, float]]]:
    """The measured steps by name, in their order."""
    fits = {name: (lambda folder, shape, name=name: training(name, folder, shape, trained)) for name in TRAINED}
    return {"write": write_log, "log": read_and_split, "knn": knn, **fits, "store": store, "bench": bench}


def measured(step: str, folder: Path, shape: Shape, trained: int) -> dict[str, float]:
    """The figures of a step, with its processor time and peak memory, from a process of its own."""
    arguments = ["--only", step, "--folder", str(folder), "--steps", str(trained), "--shape", *map(str, shape)]
    out = subprocess.run([sys.executable, __file__, *arguments], check=True, capture_output=True, text=True).stdout
    figures: dict[str, float] = json.loads(out.splitlines()[-1])
    return figures


def exponents(before: dict[str, float], now: dict[str, float], factor: float) -> str:
    """The exponents by which the seconds of a step grew: 1 is linear."""
    names = [name for name in now if name.endswith("_s") and name in before and min(before[name], now[name]) > 0.02]
    return ", ".join(f"{name} {math.log(now[name] / before[name], factor):.2f}" for name in names)


def curve(name: str, shapes: dict[float, Shape], folder: Path, steps: list[str], trained: int) -> None:
    """Print the figures of all steps at some shapes, and the exponents between neighbours."""
    earlier: dict[str, dict[str, float]] = {}
    factors = list(shapes)
    for number, (factor, shape) in enumerate(shapes.items()):
        place = folder / f"{name}-{factor:g}"
        place.mkdir(parents=True, exist_ok=True)
        for step in steps:
            now = measured(step, place, shape, trained)
            print(json.dumps({name: factor, "step": step, **now}), flush=True)
            if number:
                growth = exponents(earlier[step], now, factor / factors[number - 1])
                print(f"  exponents of {step} in {name}: {growth}", flush=True)
            earlier[step] = now
        shutil.rmtree(place)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--vary", nargs="+", default=["all"], choices=["all", *Shape._fields], help="what grows")
    parser.add_argument("--sizes", type=float, nargs="+", help="of `all`; 1 is the full size")
    parser.add_argument("--factors", type=float, nargs="+", default=[1, 2, 4, 8, 16], help="of a dimension alone")
    parser.add_argument("--folder", type=Path, default=Path("/tmp/timbrec-scale"), help="for the log and the store")
    parser.add_argument("--steps", type=int, default=20, help="training steps that are timed")
    parser.add_argument("--measure", nargs="+", help="these steps alone, of: log knn shallow hybrid bert4rec store")
    parser.add_argument("--only", help="run one step in this process and print its figures")
    parser.add_argument("--shape", type=int, nargs=4, help="users, tracks, events and dimension for --only")
    chosen = parser.parse_args()
    known = steps_of(chosen.steps)
    if chosen.only:
        figures = known[chosen.only](chosen.folder, Shape(*chosen.shape))
        usage = resource.getrusage(resource.RUSAGE_SELF)
        print(json.dumps(figures | {"cpu_s": usage.ru_utime + usage.ru_stime, "peak_gib": usage.ru_maxrss / 2**20}))
        return
    steps = [step for step in known if not chosen.measure or step in ("write", "log", *chosen.measure)]
    for name in chosen.vary:
        base, factors = (FULL, chosen.sizes or SIZES) if name == "all" else (BASE, chosen.factors)
        shapes = {factor: base.grown(name, factor) for factor in factors}
        curve(name, shapes, chosen.folder, steps, chosen.steps)


if __name__ == "__main__":
    main()
