"""Which plausible mistakes in the code does the audit of a benchmark refuse, and by which check?

    python measurements/audit_mutations.py [--out mutations.csv] [--only NAME ...] [--stages cheap run code slow]

Each mistake of `mistakes.py` is written into a copy of the package. A forked process imports the copy, runs a
small benchmark by `timbrec.bench` and audits the run by the checks of `timbrec bench`. The checks come in stages: cheap
checks of the code, the checks of the run, the other checks of the code, and `planted-trained`. The first refusal ends
the process. A benchmark that ends with an error counts as refused by the error. One thread; 3 to 60 CPU seconds a
mistake.
"""

from __future__ import annotations

import argparse
import compileall
import csv
import json
import os
import py_compile
import shutil
import sys
import tempfile
import time
from collections import Counter
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

from mistakes import MISTAKES, Mistake

if TYPE_CHECKING:
    from timbrec.audit.finding import Finding

PACKAGE = Path(__file__).parents[1] / "src" / "timbrec"
USERS, TRACKS, ARTISTS = 120, 220, 24
SLOW = ("planted-trained",)  # these run last
CHEAP = (
    "split-by-definition", "ranking-by-definition", "controls-by-definition", "sound-by-definition",
    "pooled-over-time", "mean-not-sum", "learning-by-definition",
    "sequences-masked", "served-is-trained", "refit-keeps-choice", "negatives-cover-all", "validation-ranks",
    "relabelling",
)  # fmt: skip
STAGES = ("cheap", "run", "code", "slow")


def main() -> None:
    """Run every mistake in a process of its own; print and write the refusing check."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, default=Path("mutations.csv"))
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--stages", nargs="*", default=list(STAGES), choices=STAGES)
    options = parser.parse_args()
    unchanged = Mistake("nothing", "__init__.py", '"""', '"""')
    chosen = [item for item in (unchanged, *MISTAKES) if not options.only or item.name in options.only]
    if stale := [item.name for item in chosen[1:] if (PACKAGE / item.file).read_text().count(item.old) != 1]:
        raise SystemExit(f"these patches fit no single place of the source: {', '.join(stale)}")
    with tempfile.TemporaryDirectory() as folder, options.out.open("w", newline="") as out:
        copy = Path(folder) / "timbrec"
        shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
        compileall.compile_dir(copy, quiet=1, invalidation_mode=py_compile.PycInvalidationMode.CHECKED_HASH)
        sys.path.insert(0, str(copy.parent))
        preload()
        writer = csv.writer(out)
        writer.writerow(["mistake", "file", "refused by", "detail", "seconds"])
        refused: Counter[str] = Counter()
        for mistake in chosen:
            started = time.perf_counter()
            by, detail = tried(mistake, copy, options.stages)
            refused[by or "nothing"] += 1
            row = [mistake.name, mistake.file, by, detail, f"{time.perf_counter() - started:.0f}"]
            writer.writerow(row)
            out.flush()
            print(f"{mistake.name}: {by or 'SURVIVED'} ({detail[:160]})", flush=True)
    print(f"{sum(refused.values()) - refused['nothing']} of {len(chosen)} refused; {dict(refused)}")


def preload() -> None:
    """Import the large packages once, before processes are forked; no module of timbrec."""
    for name in ("numpy", "polars", "pydantic", "scipy.sparse", "scipy.special", "scipy.stats", "torch", "yaml"):
        import_module(name)


def tried(mistake: Mistake, copy: Path, stages: list[str]) -> tuple[str, str]:
    """The name of the check that refuses a mistake ("error", or "" for none), and the detail."""
    path = copy / mistake.file
    original = path.read_text()
    if mistake.name != "nothing" and original.count(mistake.old) != 1:
        raise ValueError(f"{mistake.name}: {original.count(mistake.old)} places in {mistake.file}")
    path.write_text(original.replace(mistake.old, mistake.new, 1))
    reading, writing = os.pipe()
    try:
        if not (child := os.fork()):
            with os.fdopen(writing, "w") as pipe:
                try:
                    pipe.write(json.dumps(refusal(stages)))
                except BaseException as error:  # noqa: BLE001 - a mistake may raise anything
                    pipe.write(json.dumps(["error", f"{type(error).__name__}: {error}"]))
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading) as pipe:
            text = pipe.read()
        os.waitpid(child, 0)
    finally:
        path.write_text(original)
    by, detail = json.loads(text or '["error", "the process was killed"]')
    return by, detail


def refusal(stages: list[str]) -> tuple[str, str]:
    """Benchmark and audit the small world; the name and detail of the first refusing check, or two empty strings."""
    import torch

    from timbrec.api import bench
    from timbrec.audit import CHECKS, run_parts
    from timbrec.audit.parts import default_parts
    from timbrec.audit.run import check_code
    from timbrec.audit.trial import Trial
    from timbrec.errors import TimbrecError

    torch.set_num_threads(1)
    trial, checks = Trial(), {check.name: check for check in CHECKS if not check.of_run}
    rest = [name for name in checks if name not in (*CHEAP, *SLOW)]
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"TIMBREC_CODE_CHECKS": "off", "XDG_CACHE_HOME": folder}
        parts = default_parts()
        for stage, names in {"cheap": CHEAP, "run": (), "code": rest, "slow": SLOW}.items():
            if stage not in stages:
                continue
            if stage == "run":
                try:
                    result = bench(output=f"{folder}/run", **small_world())
                except TimbrecError as error:
                    return "error", str(error)
                parts = run_parts(result.run)
                if refused := first_refused(result.findings):
                    return refused
            with mock.patch.dict(os.environ, {"TIMBREC_CODE_CHECKS": "on"}):
                for name in names:
                    if refused := first_refused([check_code(checks[name], trial, parts)]):
                        return refused
    return "", ""


def first_refused(findings: list[Finding]) -> tuple[str, str] | None:
    """Name and detail of the first refused finding."""
    for finding in findings:
        if not finding.passed:
            return finding.name, f"{finding.figure}; {finding.detail}"
    return None


def small_world() -> dict[str, Any]:
    """A config in memory: a planted log with artists who sound alike, and vectors in another order than the log."""
    import numpy as np
    import polars as pl

    from timbrec.worlds.planted import PlantedWorld

    world = PlantedWorld(USERS, TRACKS, dim=24)
    events, rng = world.events, np.random.default_rng(0)
    users, tracks = events.users.ids, events.items.ids
    artist = np.argmax(world.vectors(1.0, seed=1)[:, :ARTISTS], axis=1)
    order = rng.permutation(TRACKS)
    return {
        "name": "small world",
        "interactions": events.table.select(
            user=users.gather(events.table["user"]), item=tracks.gather(events.table["item"]), time="time"
        ),
        "items": pl.DataFrame({"item": tracks, "artist": [f"artist {row}" for row in artist]}),
        "encoders": {"planted": (tracks.gather(order).to_list(), world.vectors(0.9)[order])},
        "split": {"test_at": "2019-02-01"},
        "recommenders": [
            "knn",
            "artist-mean",
            {"use": "hybrid", "epochs": 2, "width": 32},
        ],
        "seeds": [0, 1],
        "k": [5, 10],
        "metrics": ["hitrate", "recall", "precision", "ndcg", "mrr", "map", "popularity"],
        "primary": "ndcg@10",
    }


if __name__ == "__main__":
    main()
