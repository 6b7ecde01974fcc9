"""Speed of recommendations from a model of 100,000 tracks: commands, calls, search, and adding a track.

    python measurements/serving.py [TRACKS]

Prints seconds of the processor (of this process and its children) and of the clock, the least of several runs: on a
busy machine the clock says little. Imports alone and a scan of all vectors stand beside, for ratios.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl

import timbrec
from timbrec.models.catalogue import catalogue_of
from timbrec.models.folder import add_to_folder

DIM, USERS, PLAYS = 200, 1_000, 50
IMPORTS = (sys.executable, "-c", "import numpy, polars, typer, pydantic")
TIMBREC = Path(sys.executable).with_name("timbrec")


def model_of(tracks: int) -> timbrec.Model:
    """Tracks around artists in 40 directions, with a little of all others, as encoders give them."""
    rng = np.random.default_rng(0)
    artists = rng.standard_normal((tracks // 8, 40), np.float32)
    artist = rng.integers(0, len(artists), tracks)
    taste = artists[artist] + 0.7 * rng.standard_normal((tracks, 40), np.float32)
    vectors = taste @ rng.standard_normal((40, DIM), np.float32)
    vectors += 2 * rng.standard_normal((tracks, DIM), np.float32)
    ids = [f"track {row:06d}" for row in range(tracks)]
    item = rng.integers(0, tracks, USERS * PLAYS)
    log = pl.DataFrame({"user": np.repeat([f"user {row}" for row in range(USERS)], PLAYS)})
    log = log.with_columns(item=pl.Series(ids).gather(item)).unique()
    model = timbrec.fit(log, (ids, vectors))
    table = pl.DataFrame({"track": ids, "title": [f"Song {row}" for row in range(tracks)]}).with_columns(
        artist=pl.Series([f"Band {row}" for row in artist]), year=pl.Series(1970 + artist % 50)
    )
    from dataclasses import replace

    return replace(model, catalogue=catalogue_of(model.items.ids, table))


def in_process(*command: str) -> None:
    """Run a command with compiled modules, as after an installation."""
    compiled = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    compiled["PYTHONPYCACHEPREFIX"] = str(Path(tempfile.gettempdir()) / "timbrec-compiled")
    subprocess.run(command, check=True, capture_output=True, env=compiled)


def least(call: Callable[[], object], times: int) -> tuple[float, float]:
    """Seconds of the processor and of the clock, each the least of several calls."""
    cpu, clock = [], []
    for _ in range(times):
        before, started = used(), time.perf_counter()
        call()
        cpu.append(used() - before)
        clock.append(time.perf_counter() - started)
    return min(cpu), min(clock)


def used() -> float:
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def show(what: str, figures: tuple[float, float]) -> None:
    print(f"{what:<44} {figures[0]:8.4f} s processor {figures[1]:8.4f} s clock", flush=True)


def main() -> None:
    tracks = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    with tempfile.TemporaryDirectory() as place:
        folder = model_of(tracks).save(Path(place) / "model")
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        print(f"{tracks:,} tracks x {DIM}, {USERS:,} users: {size / 2**20:,.0f} MiB on disk")
        commands = {
            "recommend --user": ["recommend", folder, "--user", "user 7"],
            "recommend --seed": ["recommend", folder, "--seed", "track 000123", "--seed", "track 004567"],
            "similar": ["similar", folder, "track 000123"],
            "path": ["path", folder, "track 000123", "track 004567"],
        }
        show("python -c 'import numpy, polars, typer, pydantic'", least(lambda: in_process(*IMPORTS), 5))
        for name, arguments in commands.items():
            show(f"timbrec {name}", least(lambda run=arguments: in_process(str(TIMBREC), *map(str, run)), 5))
        show("Model.load", least(lambda: timbrec.Model.load(folder), 5))
        model = timbrec.Model.load(folder)
        vector = np.array(model.index.users[3])
        show("search: scores of all tracks", least(lambda: model.index.scores(vector), 30))
        calls = {
            "recommend(user)": lambda: model.recommend("user 7"),
            "recommend(user, per_artist=1, since=1990)": lambda: model.recommend("user 7", per_artist=1, since=1990),
            "recommend(history=50 ids)": lambda: model.recommend(history=list(model.items.ids[:50])),
            "recommend(user, hubs='mutual')": lambda: model.recommend("user 7", hubs="mutual"),
            "similar(track)": lambda: model.similar("track 000123"),
            "similar(title)": lambda: model.similar("Song 123"),
            "path(from, to)": lambda: model.path("track 000123", "track 004567"),
        }
        for name, call in calls.items():
            show(f"Model.{name}", least(call, 100))

        def add() -> None:
            loaded = timbrec.Model.load(folder)
            vectors = np.random.default_rng(len(loaded.items)).standard_normal((1, DIM), np.float32)
            before = len(loaded.items)
            grown = loaded.add_items([f"new {before}"], vectors)
            rows = grown.catalogue[before:].with_columns(recording=pl.Series(grown.recording[before:]))
            add_to_folder(folder, grown.content(vectors), grown.index.vectors(np.arange(before, before + 1)), rows)

        show("adding one track, without its encoding", least(add, 5))


if __name__ == "__main__":
    main()
