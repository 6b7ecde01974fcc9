"""Splitting a long log in time against one polars group-by over it, each in a process of its own.

Target: within 3 times the group-by's time, and a peak memory under 8 times the size of the log's columns.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
from datetime import datetime, timedelta

import numpy as np
import polars as pl
from harness import machine, seconds

from timbrec.data.cuts import by_time
from timbrec.data.events import Events
from timbrec.data.vocabulary import Vocabulary

USERS, ITEMS, PLAYS_PER_PAIR = 100_000, 56_000, 5
T = datetime(2019, 2, 1)
START, VALIDATE, END = datetime(2018, 2, 1), datetime(2019, 1, 1), datetime(2019, 3, 1)


def log(rows: int) -> Events:
    """Random plays over the study's window in random order; some users and tracks have many, a pair about five.

    Columns are filled one at a time, so that making the log needs less memory than splitting it.
    """
    rng = np.random.default_rng(0)
    pair = rng.integers(0, rows // PLAYS_PER_PAIR, rows, dtype=np.uint32)
    user = rng.random(rows // PLAYS_PER_PAIR, np.float32) ** 2 * USERS
    item = rng.random(rows // PLAYS_PER_PAIR, np.float32) ** 2 * ITEMS
    table = pl.DataFrame({"user": user.astype(np.uint32)[pair], "item": item.astype(np.uint32)[pair]})
    span = int((END - START) / timedelta(microseconds=1))
    time = np.datetime64(START, "us") + rng.integers(0, span, rows).astype("timedelta64[us]")
    table = table.with_columns(time=time, plays=np.ones(rows, np.int64))
    return Events(table, Vocabulary(map(str, range(USERS))), Vocabulary(map(str, range(ITEMS))))


def group_by(events: Events) -> None:
    """First play and number of plays of every pair, and nothing else."""
    events.table.group_by("user", "item").agg(pl.col("time").min(), pl.col("plays").sum())


def split(events: Events) -> None:
    """The default protocol: two cuts, two folds with hot and cold halves."""
    by_time(events, START, VALIDATE, T, END)


def peak_bytes() -> int:
    """The most memory this process has held so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def measured(what: str, rows: int) -> tuple[float, float, float]:
    """Seconds, peak memory and the columns' bytes of one task in a process of its own."""
    command = [sys.executable, __file__, "--rows", str(rows), "--only", what]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return float(out[0]), float(out[1]), float(out[2])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=50_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--only", choices=["group_by", "split"], help="run one task in this process, print bare figures"
    )
    chosen = parser.parse_args()
    if chosen.only:
        events = log(chosen.rows)
        taken = seconds(lambda: {"group_by": group_by, "split": split}[chosen.only](events))
        print(taken, peak_bytes(), events.table.estimated_size())
        return
    runs = [(measured("group_by", chosen.rows), measured("split", chosen.rows)) for _ in range(chosen.rounds)]
    (grouping, group_peak, columns), (splitting, split_peak, _) = np.median(runs, axis=0)
    print(f"{chosen.rows:,} events, {columns / 2**30:.2f} GiB of columns; {machine()}")
    print(f"group-by {grouping:.2f} s, peak {group_peak / columns:.1f} x the columns")
    print(f"split {splitting:.2f} s, peak {split_peak / columns:.1f} x the columns (target < 8)")
    print(f"split / group-by: {splitting / grouping:.2f} (target <= 3)")


if __name__ == "__main__":
    main()
