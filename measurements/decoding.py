"""MP3 decoders against each other, and the cost of mixing, resampling and hashing.

Targets: our decoder at most 1.2 times the fastest; decoded, mixed down and resampled to 16 or 24 kHz at most 1.5 times
the decoder alone. Times are processor times, on one thread, so other work on the machine counts little.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import numpy as np

from timbrec.audio import AudioFile, Cut, Windows, read_clips


@contextmanager
def songs(count: int) -> Iterator[list[Path]]:
    """Real MP3 files where TIMBREC_TEST_DATA has them; else noise of four minutes."""
    real = os.environ.get("TIMBREC_TEST_DATA")
    if real:
        yield sorted(Path(real, "data/jamendo_lyrics_audio/mp3").glob("*.mp3"))[:count]
        return
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder, f"{number}.mp3") for number in range(count)]
        for path in paths:
            noise = np.random.default_rng(0).normal(0, 0.1, (1, 2 * 44_100 * 240)).astype(np.float32)
            frame = av.AudioFrame.from_ndarray(noise, format="flt", layout="stereo")
            frame.rate = 44_100
            with av.open(path, "w") as file:
                stream = file.add_stream("libmp3lame", rate=44_100, layout="stereo", options={"b": "192k"})
                for packet in (*stream.encode(frame), *stream.encode(None)):
                    file.mux(packet)
        yield paths


def pyav(path: Path) -> None:
    with av.open(path) as file:
        for _ in file.decode(audio=0):
            pass


def ours(path: Path, rate: int) -> None:
    with AudioFile(path) as file:
        for _ in file.mono(rate or file.rate):
            pass


def soundfile(path: Path) -> None:
    import soundfile

    soundfile.read(path, dtype="float32")


def miniaudio(path: Path) -> None:
    import miniaudio

    miniaudio.mp3_read_file_f32(str(path))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--songs", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=5)
    chosen = parser.parse_args()
    cuts = [Cut(rate, 30.0, Windows()) for rate in (16_000, 24_000)]
    calls: dict[str, Callable[[Path], object]] = {
        "PyAV": pyav,
        "ours, mono at its own rate": lambda path: ours(path, 0),
        "ours, mono at 16 kHz": lambda path: ours(path, 16_000),
        "ours, mono at 24 kHz": lambda path: ours(path, 24_000),
        "ours, windows at both rates, hashed": lambda path: read_clips(path, cuts),
    }
    others = {"soundfile": soundfile, "miniaudio": miniaudio}
    calls |= {name: call for name, call in others.items() if importlib.util.find_spec(name)}
    taken: dict[str, list[float]] = {name: [] for name in calls}
    with songs(chosen.songs) as paths:
        for path in [path for _ in range(chosen.rounds) for path in paths]:
            for name, call in calls.items():
                started = time.thread_time()
                call(path)
                taken[name].append(time.thread_time() - started)
    decoder, best = statistics.median(taken["PyAV"]), min(map(statistics.median, taken.values()))
    print(f"{len(paths)} songs x {chosen.rounds} rounds; medians per song, and their ratio to PyAV's decoder alone")
    for name, values in taken.items():
        print(f"{name:38} {1000 * statistics.median(values):6.0f} ms   {statistics.median(values) / decoder:.2f}")
    print(f"PyAV / the fastest: {decoder / best:.2f} (target <= 1.2)")


if __name__ == "__main__":
    main()
