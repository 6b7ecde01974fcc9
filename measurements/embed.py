"""From files to a store, against the processor's time for decoding alone and for the model alone.

Target: the wall clock at most 1.1 times (seconds of decoding + seconds of the model) / cores. `ideal` is measured, too:
the same decoding and then the same model calls, handed to as many threads as there are cores. On a machine that does
other things, the ratio to `ideal` says more, since both sides suffer alike.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from decoding import songs
from harness import machine

from timbrec.audio import Clip, Windows, read_clips
from timbrec.embed import Output, embed_all
from timbrec.embed.encode import encode_windows
from timbrec.encoders import load
from timbrec.machine.devices import cores
from timbrec.protocols import Encoder


def measured(call: Callable[[], object]) -> tuple[float, float]:
    """Wall and processor seconds of a call."""
    wall, processor = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - wall, time.process_time() - processor


def batches(clips: list[Clip], size: int) -> list[Clip]:
    """The windows of each clip, as many as are encoded at once."""
    return [
        Clip(clip.windows[start : start + size], 0.0) for clip in clips for start in range(0, len(clip.windows), size)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--encoder", default="musicnn-msd")
    parser.add_argument("--weights")
    parser.add_argument("--songs", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--count", type=int, default=8, help="windows per song")
    chosen = parser.parse_args()
    encoder, windows, workers = load(chosen.encoder, chosen.weights), Windows(count=chosen.count), cores()
    torch.set_num_threads(1)
    rows = []
    with songs(chosen.songs) as paths:
        for _ in range(chosen.rounds):
            rows.append(one_round(encoder, windows, paths, chosen.batch, workers))
            print(" ".join(f"{value:.2f}" for value in rows[-1]), flush=True)
    wall, ideal, total = (statistics.median(column) for column in zip(*rows, strict=True))
    print(
        f"{chosen.encoder}: {chosen.songs} songs, {chosen.count} windows each, batches of {chosen.batch}; {machine()}"
    )
    print(f"wall {wall:.2f} s, ideal {ideal:.2f} s, (decoding + model) / {workers} cores {total:.2f} s")
    print(f"wall / ideal: {statistics.median(row[0] / row[1] for row in rows):.2f}")
    print(f"wall / floor: {statistics.median(row[0] / row[2] for row in rows):.2f} (target <= 1.1)")


def one_round(
    encoder: Encoder, windows: Windows, paths: list[Path], batch: int, workers: int
) -> tuple[float, float, float]:
    """Wall seconds of the whole; wall seconds of its parts one after the other; processor seconds of these / cores."""
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(workers) as threads:
        manifest = Path(folder, "tracks.csv")
        manifest.write_text("id,path\n" + "".join(f'{number},"{path}"\n' for number, path in enumerate(paths)))
        output = Output(encoder, Path(folder, "store"), windows)
        clips: list[Clip] = []
        decode = lambda: clips.extend(threads.map(lambda path: read_clips(path, [output.cut])[0], paths))  # noqa: E731
        encode = lambda: list(  # noqa: E731
            threads.map(lambda clip: encode_windows(encoder, clip.windows, [(None, "mean")]), batches(clips, batch))
        )
        decoding = measured(decode)
        whole, _ = measured(lambda: embed_all(manifest, [output], batch=batch))
        model = measured(encode)
    return whole, decoding[0] + model[0], (decoding[1] + model[1]) / workers


if __name__ == "__main__":
    main()
