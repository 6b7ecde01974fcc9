"""Opening a store of a million float16 vectors: its cost before the first vector is read.

Target: nothing that grows with the vectors. Each way is measured in a process of its own.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from harness import DIM, seconds

from timbrec.store import StoreInfo, VectorStore

PER_COMMIT = 100_000


def write(folder: Path, rows: int) -> None:
    """Random vectors, committed in shards."""
    info = StoreInfo("random", "1", layer=None, pool="mean", over="time", windows="whole", dim=DIM, dtype="float16")
    store = VectorStore.create(folder, info)
    rng = np.random.default_rng(0)
    for start in range(0, rows, PER_COMMIT):
        ids = [f"track{row:09d}" for row in range(start, min(start + PER_COMMIT, rows))]
        store.append(ids, rng.standard_normal((len(ids), DIM), dtype=np.float32).astype(np.float16))


def ways(folder: Path, rows: int) -> dict[str, Callable[[], object]]:
    """The compared calls: opening, opening and fetching a hundred vectors by id, and reading every byte."""
    few_ids = [f"track{row:09d}" for row in range(0, rows, max(rows // 100, 1))]
    return {
        "open": lambda: VectorStore.open(folder),
        "open and fetch 100": lambda: VectorStore.open(folder).aligned(few_ids),
        "load everything": lambda: [np.load(shard) for shard in folder.glob("*.npy")],
    }


def resident() -> int:
    """Bytes of memory this process holds now."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) * 1024


def measured(folder: Path, rows: int, way: str) -> tuple[float, float]:
    """Milliseconds and MiB that one way takes in a process of its own."""
    command = [sys.executable, __file__, "--rows", str(rows), "--folder", str(folder), "--only", way]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return float(out[0]) * 1e3, float(out[1]) / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--only", help="take one way in this process, print bare figures")
    chosen = parser.parse_args()
    if chosen.only:
        way, before, kept = ways(chosen.folder, chosen.rows)[chosen.only], resident(), []
        taken = seconds(lambda: kept.append(way()))
        print(taken, resident() - before)
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "store"
        write(folder, chosen.rows)
        print(f"{chosen.rows:,} x {DIM} float16, {chosen.rows * DIM * 2 / 2**30:.2f} GiB, {PER_COMMIT:,} to a commit")
        medians = {
            way: np.median([measured(folder, chosen.rows, way) for _ in range(chosen.rounds)], axis=0)
            for way in ways(folder, chosen.rows)
        }
    for way, (milliseconds, mebibytes) in medians.items():
        print(f"{way}: {milliseconds:.1f} ms, {mebibytes:.1f} MiB")
    print("open / load everything: time {:.5f}, memory {:.5f}".format(*medians["open"] / medians["load everything"]))


if __name__ == "__main__":
    main()
