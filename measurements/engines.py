"""The trained cells of the demo's grid: one process with one thread, with all threads, several processes, and Ray.

Target: as many processes as cores, with a thread each, take at most 0.6 of the wall time of one process with one thread
on two idle cores, and stay below the memory that was stated beforehand. Processor seconds of each way are shown beside,
since wall times mean nothing beside other work.

    python measurements/engines.py DEMO/config.yaml        # made by: timbrec demo DEMO
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from timbrec.machine.cluster import session
from timbrec.machine.devices import cores, use_threads
from timbrec.study.config import read_config
from timbrec.study.description import describe_run
from timbrec.study.engines.shared.order import is_trained
from timbrec.study.grid import run_study
from timbrec.study.inputs import load_inputs
from timbrec.study.needs import in_gib, memory_of
from timbrec.study.plan import plan
from timbrec.study.runs import Run

WAYS: dict[str, tuple[int, int | None, str]] = {  # threads of this process, jobs, engine
    "one process, one thread": (1, 1, "local"),
    f"one process, {cores()} threads": (cores(), 1, "local"),
    f"{cores()} processes": (cores(), cores(), "local"),
    "Ray on this machine": (cores(), None, "ray"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path)
    parser.add_argument("--only", nargs="*", default=[], help="recommenders, to measure a part of the grid")
    parser.add_argument("--encoder", help="a single encoder, to measure a part of the grid")
    parser.add_argument("--way", choices=list(WAYS), help="one way alone, in this process")
    chosen = parser.parse_args()
    if chosen.way:
        return alone(chosen.config, chosen.only, chosen.encoder, chosen.way)
    first, given = 0.0, sys.argv[1:]
    for name in WAYS:
        done = subprocess.run([sys.executable, __file__, *given, "--way", name], capture_output=True, check=True)
        result = json.loads(done.stdout.splitlines()[-1])
        first = first or result["wall"]
        print(f"{name}: {result['cells']} cells in {result['wall']:.1f} s, {result['wall'] / first:.2f} of the first; "
              f"{result['processor']:.1f} s of processor; {result['memory']}")  # fmt: skip
    return None


def alone(path: Path, only: list[str], encoder: str | None, way: str) -> None:
    """Run the trained cells in one way, and print wall and processor seconds and peak memory as JSON."""
    threads, jobs, engine = WAYS[way]
    config = read_config(path)
    if encoder is not None:
        config = config.model_copy(update={"encoders": {encoder: config.encoders[encoder]}, "reference": None})
    inputs = load_inputs(config)
    cells = [item for item in plan(config, inputs) if is_trained(item) and item.label in (only or [item.label])]
    stated = sum(sorted(memory_of(item, inputs) for item in cells)[-(jobs or cores()) :])
    use_threads(threads)
    before = processor()
    with tempfile.TemporaryDirectory() as folder, session(engine):
        run = Run.create(Path(folder, "run"), describe_run(config, inputs), inputs.split)
        began = time.perf_counter()
        names = sorted({item.label for item in cells})
        run_study(config, inputs, run, jobs=jobs, only=names, engine=engine)
        wall = time.perf_counter() - began
    own, child = (resource.getrusage(who).ru_maxrss * 1024 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    memory = f"{in_gib(stated)} stated, peak {in_gib(own)}, of the largest child {in_gib(child)}"
    print(json.dumps({"cells": len(cells), "wall": wall, "processor": processor() - before, "memory": memory}))


def processor() -> float:
    """Processor seconds of this process and of its ended children."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(item.ru_utime + item.ru_stime for item in used)


if __name__ == "__main__":
    main()
