"""A history of 500,000 plays against a library of 50,000 tracks: reading, matching, and reading tags.

Target: reading the export, reading the tags and matching together take less than 60 s on two cores. Seconds are those
of the processor, of this process and its children. The library is synthetic: files with the tags that a tagger writes
and a second of silence; half of the plays are of its tracks, a tenth of these with an odd spelling.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import shutil
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from harness import machine
from mutagen.flac import FLAC

from timbrec.histories import library, load_history, match

Track = dict[str, Any]


def words(rng: random.Random, most: int) -> str:
    """Up to `most` invented words."""
    letters = (rng.choices("aeioubdfklmnprst", k=rng.randint(2, 9)) for _ in range(rng.randint(1, most)))
    return " ".join("".join(word).title() for word in letters)


def tracks(rng: random.Random, count: int) -> list[Track]:
    """Tracks of a tenth as many artists."""
    artists = [words(rng, 3) for _ in range(max(1, count // 10))]
    return [{"artist": rng.choice(artists), "title": words(rng, 5), "album": words(rng, 3)} for _ in range(count)]


def write_library(folder: Path, catalogue: list[Track]) -> None:
    """A tagged FLAC file for each track."""
    silent = folder / "silent.flac"
    soundfile.write(silent, np.zeros(16_000, np.float32), 16_000)
    for number, track in enumerate(catalogue):
        path = folder / f"{number // 1000:03}" / f"{number:06}.flac"
        path.parent.mkdir(exist_ok=True)
        shutil.copy(silent, path)
        file = FLAC(path)
        file.update(track | {"albumartist": track["artist"], "date": "2001", "tracknumber": "7"})
        file.save()
    silent.unlink()


def write_export(path: Path, rng: random.Random, catalogue: list[Track], plays: int) -> None:
    """An export of ListenBrainz."""
    others = tracks(rng, len(catalogue))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for start in range(0, plays, 50_000):
            lines = []
            for number in range(start, min(start + 50_000, plays)):
                track = rng.choice(catalogue if rng.random() < 0.5 else others)
                title = track["title"][:-1] if rng.random() < 0.1 else track["title"]
                names = {"artist_name": track["artist"], "track_name": title, "release_name": track["album"]}
                lines.append(json.dumps({"listened_at": 1_200_000_000 + 700 * number, "track_metadata": names}))
            archive.writestr(f"listens/{start}.jsonl", "\n".join(lines) + "\n")


def used() -> float:
    """Seconds of the processor so far."""
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def main() -> None:
    """Print the seconds of each step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=50_000)
    parser.add_argument("--plays", type=int, default=500_000)
    options = parser.parse_args()
    rng = random.Random(0)
    print(machine())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
        catalogue = tracks(rng, options.files)
        (folder / "music").mkdir()
        write_library(folder / "music", catalogue)
        write_export(folder / "export.zip", rng, catalogue, options.plays)
        started = used()
        history = load_history(folder / "export.zip")
        read = used()
        table = library(folder / "music")
        tagged = used()
        matched = match(history.plays, table)
        ended = used()
        library(folder / "music")
        again = used() - ended
    print(matched.summary)
    print(f"reading the export {read - started:.1f} s, tags {tagged - read:.1f} s (again: {again:.1f} s), "
          f"matching {ended - tagged:.1f} s; together {ended - started:.1f} s of 60 s")  # fmt: skip


if __name__ == "__main__":
    main()
