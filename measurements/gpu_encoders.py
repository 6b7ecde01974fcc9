"""Encoders of the published sizes on an accelerator: audio-hours a second in float32 and bfloat16, random weights.

For a machine with a GPU; on a CPU `--names mert-95m --batch 1 --rounds 1` shows that it runs. For every encoder and
precision: hours of audio a second for a batch of 30 s windows that are in memory; the arithmetic of its card a second,
as a share of a bare matrix product's in the same precision and run; the share of the time in which the GPU computes
(kernels' time by torch's profiler over wall clock). Beside it the study's way: batches of 16 in float32, each clip
decoded when its turn comes, and how many times faster the best of ours is (goal: 8).
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from encoders_full_size import OFFICIAL
from harness import machine, medians
from musicnn_speed import write_clip

from timbrec.audio import Windows, read_windows
from timbrec.encoders import load
from timbrec.protocols import Encoder

PRECISIONS = ("float32", "bfloat16")
STUDY_BATCH = 16


def wait() -> None:
    """Wait until the device has finished."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def product_rate(device: str, dtype: str, rounds: int) -> float:
    """Multiplications and additions a second of a bare matrix product."""
    side = 8192 if device == "cuda" else 1024
    left = torch.randn(side, side, device=device, dtype=getattr(torch, dtype))

    def product() -> None:
        left @ left
        wait()

    product()
    return 2 * side**3 / medians({"product": product}, rounds)["product"]


def busy(call: Callable[[], object]) -> float:
    """The share of a call's time in which the GPU computes; NaN without one."""
    if not torch.cuda.is_available():
        return float("nan")
    activities = [torch.profiler.ProfilerActivity.CUDA]
    start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    with torch.profiler.profile(activities=activities) as profile:
        start.record()
        call()
        end.record()
        wait()
    kernels = sum(event.device_time_total for event in profile.key_averages()) / 1e3
    return kernels / start.elapsed_time(end)


def study(encoder: Encoder, clip: Path) -> None:
    """A batch of the study's: decoded one after the other, then encoded."""
    card = encoder.card
    clips = [read_windows(clip, card.rate, card.window, Windows()).windows[:1] for _ in range(STUDY_BATCH)]
    encoder.encode(np.concatenate(clips))


def measure(name: str, folder: Path, device: str, batch: int, rounds: int) -> None:
    """Print a line for each precision, and how far the best of them is from the study's way."""
    clip, hours = folder / "clip.mp3", {}
    write_clip(clip, 0)
    for dtype in PRECISIONS:
        encoder = load(name, folder, device, dtype=dtype)
        card = encoder.card
        shape = (batch, round(card.window * card.rate))
        windows = np.random.default_rng(0).normal(0, 0.1, shape).astype(np.float32)
        encoder.encode(windows[:1])
        taken = medians({"encode": lambda e=encoder, w=windows: e.encode(w)}, rounds)["encode"]
        share = card.gflop * 1e9 * batch / taken / product_rate(device, dtype, rounds)
        hours[dtype] = batch * card.window / 3600 / taken
        worked = busy(lambda e=encoder, w=windows: e.encode(w))
        print(f"{name} {dtype}: {hours[dtype]:.4f} audio-hours/s, {share:.0%} of the product's rate, busy {worked:.0%}")
        if dtype == "float32" and device == "cuda":
            seconds = medians({"study": lambda e=encoder: study(e, clip)}, rounds)["study"]
            hours["study"] = STUDY_BATCH * card.window / 3600 / seconds
    if "study" in hours:
        print(f"{name}: {max(hours.values()) / hours['study']:.1f} x the study's way (goal 8)")


def main() -> None:
    """Make each encoder's weights and measure it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--names", nargs="*", default=list(OFFICIAL), choices=list(OFFICIAL))
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    print(machine(), torch.cuda.get_device_name() if device == "cuda" else "no GPU", flush=True)
    for name in options.names:
        with tempfile.TemporaryDirectory() as folder:
            OFFICIAL[name](Path(folder))
            measure(name, Path(folder), device, options.batch, options.rounds)


if __name__ == "__main__":
    main()
