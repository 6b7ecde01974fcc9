"""100,000 files that are embedded already: how long it takes to find that there is nothing to do.

Target: under 10 s, the walk, the states of all files and the store included.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
from harness import machine, seconds

from timbrec.embed import Output, embed_all, find_tracks
from timbrec.encoders import load
from timbrec.store import Entry, TrackStore


def fill(folder: Path, files: int) -> None:
    """Files of a byte, a hundred to an album."""
    for album in range(0, files, 100):
        where = folder / f"artist {album // 1000}" / f"album {album // 100}"
        where.mkdir(parents=True, exist_ok=True)
        for track in range(album, min(album + 100, files)):
            (where / f"track {track}.mp3").write_bytes(b"x")


def pretend(folder: Path, output: Output) -> None:
    """A store with a vector of each file, as after a run over real music."""
    store = TrackStore(output.store, output.info(output.card.dim))
    rng = np.random.default_rng(0)
    for number, track in enumerate(find_tracks(folder)):
        state, vector = track.path.stat(), rng.standard_normal(output.card.dim, dtype=np.float32)
        store.add(Entry(track.id, f"{number:032x}", state.st_size, state.st_mtime_ns, f"{number:032x}", vector=vector))
    store.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=100_000)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        music, output = Path(temporary, "music"), Output(load("mfcc"), Path(temporary, "mfcc"))
        fill(music, chosen.files)
        pretend(music, output)
        reports = []
        started = time.process_time()
        walk = seconds(lambda: find_tracks(music))
        whole = seconds(lambda: reports.append(embed_all(music, [output])))
        processor = time.process_time() - started
        assert (reports[0].skipped, reports[0].done) == (chosen.files, 0), reports[0]
    print(f"{chosen.files:,} files, nothing to do: {whole:.1f} s, {walk:.1f} s of it the walk (target <= 10 s)")
    print(f"processor: {processor:.1f} s for the whole and the walk once more")
    print(machine())


if __name__ == "__main__":
    main()
