"""MusiCNN, tracks per second with decoding, against the official extractor, and against its arithmetic.

The official extractor (musicnn 0.1.0 on TensorFlow 2.13.1, librosa 0.9.2) runs in an environment of its own, which
this script makes in `--environment` the first time (1.6 GB). Both take the same 30 s MP3 clips in turn, on the same
threads. Floor: 2.796 GFLOP a patch, which is

    2 x 187 frames x (59 places x 204 filters x 266 + 30 x 204 x 469 + 96 bands x 51 x (128 + 64 + 32)
                      + 64 x 7 x (561 + 64 + 64))

at the rate of a 2048 x 2048 matrix product measured in the same rounds.

Targets: at least 3 times the official extractor's tracks per second, and at most 1.4 times the floor.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import torch
from harness import machine, seconds

from timbrec.audio import Windows, read_windows
from timbrec.encoders import load

PINS = ["tensorflow-cpu==2.13.1", "numpy==1.24.3", "librosa==0.9.2", "resampy==0.4.3", "soundfile", "setuptools<81"]
OFFICIAL = """
import sys, time
from musicnn.extractor import extractor
for line in sys.stdin:
    started = time.perf_counter()
    extractor(line.strip(), model="MSD_musicnn", extract_features=True)
    print(time.perf_counter() - started, file=sys.stderr, flush=True)
"""
PATCH = 2 * 187 * (59 * 204 * 266 + 30 * 204 * 469 + 96 * 51 * (128 + 64 + 32) + 64 * 7 * (561 + 64 + 64))
SIDE, SECONDS, RATE = 2048, 30, 44_100


def write_clip(path: Path, seed: int) -> None:
    """Half a minute of decaying tones in noise: stereo MP3 at 44.1 kHz, 192 kbit/s."""
    rng, time = np.random.default_rng(seed), np.arange(SECONDS * RATE) / RATE
    tones = sum(
        np.sin(2 * np.pi * f * time) * np.exp(-(time % 0.5) * d) for f, d in rng.uniform([80, 1], [4000, 9], (12, 2))
    )
    stereo = 0.05 * np.stack([tones, tones]) + rng.normal(0, 0.02, (2, len(time)))
    with av.open(str(path), "w") as file:
        stream = file.add_stream("mp3", rate=RATE, layout="stereo")
        stream.bit_rate = 192_000
        frame = av.AudioFrame.from_ndarray(stereo.astype(np.float32), format="fltp", layout="stereo")
        frame.rate = RATE
        file.mux(stream.encode(frame))
        file.mux(stream.encode(None))


def official(environment: Path) -> Callable[[Path], float]:
    """Seconds the official extractor takes for a file, in a process that stays."""
    python = environment / "bin" / "python"
    if not python.exists():
        print(f"making {environment} with TensorFlow in it", flush=True)
        subprocess.run([sys.executable, "-m", "venv", environment], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *PINS], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--no-deps", "musicnn==0.1.0"], check=True)
    worker = subprocess.Popen(
        [python, "-c", OFFICIAL],
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, bufsize=1,
    )  # fmt: skip

    def run(path: Path) -> float:
        print(path, file=worker.stdin, flush=True)
        for line in worker.stderr:
            try:
                return float(line)
            except ValueError:
                continue  # TensorFlow talks
        raise RuntimeError("the official extractor has died")

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--environment", type=Path, default=Path(".venv-tensorflow"))
    parser.add_argument("--rounds", type=int, default=9)
    chosen = parser.parse_args()
    encoder, matrix = load("musicnn-msd"), torch.randn(SIDE, SIDE)
    theirs = official(chosen.environment)
    taken: dict[str, list[float]] = {"official": [], "ours": [], "model": [], "product": []}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(chosen.rounds + 1):
            path = Path(folder, f"{number}.mp3")
            write_clip(path, number)
            clip = read_windows(path, encoder.card.rate, encoder.card.window, Windows())
            calls = {
                "product": lambda: [matrix @ matrix for _ in range(3)],
                "ours": lambda path=path: encoder.encode(
                    read_windows(path, encoder.card.rate, encoder.card.window, Windows()).windows
                ),
                "model": lambda clip=clip: encoder.encode(clip.windows),
            }
            round_ = {"official": theirs(path)} | {name: seconds(call) for name, call in calls.items()}
            for name, value in round_.items() if number else ():  # the first one warms up
                taken[name].append(value)
    patches = len(encoder.patches(clip.windows[0])) * len(clip.windows)
    medians = {name: statistics.median(values) for name, values in taken.items()}
    rate = 3 * 2 * SIDE**3 / medians["product"]
    floor = patches * PATCH / rate
    print(f"{machine()}; {chosen.rounds} rounds of one clip of {SECONDS} s, {patches} patches, medians")
    print(f"official / ours, decoding included: {medians['official'] / medians['ours']:.2f} (target >= 3)")
    print(f"model / floor at {rate / 1e9:.0f} GFLOP/s: {medians['model'] / floor:.2f} (target <= 1.4)")
    print(f"decoding and resampling are {1 - medians['model'] / medians['ours']:.0%} of ours")


if __name__ == "__main__":
    main()
