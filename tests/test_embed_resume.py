"""Killed runs go on where they stopped, and end in the same store."""

from __future__ import annotations

import hashlib
import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from audio_files import write_wav
from moments import RATE, Moments, vectors
from timbrec.embed import embed
from timbrec.store import Entry, VectorStore
from timbrec.store.journal import Journal

TRACKS, BATCH, WORKERS = 150, 2, 1

# An encoder that takes its time, and tells of every window it has encoded. It may die before its n-th step on the disk.
CHILD = """
import os, pathlib, signal, sys, time
sys.path.insert(0, sys.argv[1])
from moments import Moments
from timbrec.embed import embed

class Slow(Moments):
    def encode(self, windows):
        time.sleep(0.01)
        os.write(1, b"w" * len(windows))
        return super().encode(windows)

steps, fatal = 0, int(sys.argv[4])
def step(real):
    def run(*args, **kwargs):
        global steps
        steps += 1
        if steps == fatal:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*args, **kwargs)
    return run
os.fsync, os.link, os.pwrite, os.ftruncate = map(step, (os.fsync, os.link, os.pwrite, os.ftruncate))
pathlib.Path.replace, pathlib.Path.unlink = step(pathlib.Path.replace), step(pathlib.Path.unlink)
os.write(2, b"ready")
embed(sys.argv[2], Slow(), sys.argv[3], batch=int(sys.argv[5]), workers=int(sys.argv[6]))
"""


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tracks of one or two windows, and of less than one; two of them are the same."""
    folder, rng = tmp_path_factory.mktemp("music"), np.random.default_rng(0)
    for number in range(TRACKS):
        samples = rng.normal(0, 0.1, RATE * (1 + number % 2) if number % 9 else 700)
        write_wav(folder / f"t{number:03}.wav", samples, RATE, "f32")
    (folder / "t900.wav").write_bytes((folder / "t008.wav").read_bytes())
    return folder


@pytest.fixture(scope="module")
def windows(music: Path) -> int:
    return sum(1 if number % 9 == 0 else 1 + number % 2 for number in range(TRACKS))


def child(music: Path, store: Path, fatal: int = 0) -> subprocess.Popen[bytes]:
    command = [
        sys.executable,
        "-c",
        CHILD,
        str(Path(__file__).parent),
        str(music),
        str(store),
        *map(str, (fatal, BATCH, WORKERS)),
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stderr is not None
    assert process.stderr.read(5) == b"ready"
    return process


def contents(store: Path) -> dict[str, object]:
    """Every byte that a reader may see, but for the moment the store was made."""
    opened = VectorStore.open(store)
    opened.verify()
    names = [file.name for file in opened._manifest.files]
    facts = json.loads(max(store.glob("manifest-*")).read_bytes())
    facts["info"].pop("created")
    return {"manifest": facts} | {name: hashlib.sha256((store / name).read_bytes()).hexdigest() for name in names}


@pytest.mark.slow
@pytest.mark.parametrize("kills", [3, 20])
def test_killed_at_random_moments_a_run_ends_in_the_same_store(
    music: Path, windows: int, tmp_path: Path, kills: int
) -> None:
    embed(music, Moments(), tmp_path / "whole", batch=BATCH, workers=WORKERS)
    chance, encoded, killed, work = random.Random(kills), 0, 0, 0.01 * windows
    while killed < kills:
        process = child(music, tmp_path / "killed")
        time.sleep(chance.uniform(0, work / kills))
        process.kill()
        output, _ = process.communicate(timeout=60)
        encoded, killed = encoded + len(output), killed + (process.returncode == -signal.SIGKILL)
    output, errors = child(music, tmp_path / "killed").communicate(timeout=60)
    assert not errors
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")
    again = encoded + len(output) - windows
    assert 0 <= again <= kills * BATCH * (1 + 2 * WORKERS)  # what was under way; finished batches are kept
    assert len(vectors(tmp_path / "killed")) == TRACKS + 1


@pytest.mark.slow
def test_killed_before_any_write_a_run_ends_in_the_same_store(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    (tmp_path / "music").mkdir()
    for number in range(4):
        write_wav(tmp_path / f"music/{number}.wav", rng.normal(0, 0.1, RATE), RATE, "f32")
    embed(tmp_path / "music", Moments(), tmp_path / "whole", batch=BATCH)
    fatal, codes = 1, [-signal.SIGKILL]
    while codes[-1]:  # until a run has fewer steps than that
        stores = [tmp_path / f"{fatal + more}" for more in range(4)]
        processes = [child(tmp_path / "music", store, fatal + more) for more, store in enumerate(stores)]
        for process in processes:
            process.communicate(timeout=60)
        codes = [process.returncode for process in processes]
        for store in stores:
            embed(tmp_path / "music", Moments(), store, batch=BATCH)
            assert contents(store) == contents(tmp_path / "whole"), f"killed before step {store.name}"
        fatal += 4
    assert fatal > 16, "the store, two batches, a commit of three files"


def test_a_torn_or_damaged_journal_loses_its_end_alone(tmp_path: Path) -> None:
    entries = [Entry(f"t{n}", f"audio {n}", n, n, f"file {n}", vector=np.full(3, n, np.float32)) for n in range(3)]
    journal, sizes = Journal(tmp_path), []
    for entry in entries:
        journal.append([entry])
        sizes.append((tmp_path / "journal").stat().st_size)
    journal.close()
    whole = (tmp_path / "journal").read_bytes()

    def kept(content: bytes) -> int:
        (tmp_path / "journal").write_bytes(content)
        journal = Journal(tmp_path)
        kept_entries = list(journal)
        journal.append(entries[len(kept_entries) :])  # goes on from there
        again = list(journal)
        journal.close()
        assert [(*entry[:-1], *entry.vector) for entry in again] == [(*old[:-1], *old.vector) for old in entries]  # type: ignore[misc]
        return len(kept_entries)

    for length in range(0, len(whole) + 1, 3):
        assert kept(whole[:length]) == sum(size <= length for size in sizes)
    assert kept(whole + bytes(50)) == 3
    for place in range(0, len(whole), 5):
        flipped = whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :]
        assert kept(flipped) == sum(size <= place for size in sizes)
