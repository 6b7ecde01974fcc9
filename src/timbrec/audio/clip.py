"""The windows of one audio file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from timbrec.audio.file import AudioFile
from timbrec.audio.windows import Cutter, Windows
from timbrec.types import Array, Float32


@dataclass(frozen=True, eq=False)
class Clip:
    """The windows of one track (n >= 1, all of one length), its length in seconds, and what is odd about its file."""

    windows: Float32[Array, "n samples"]
    seconds: float
    remarks: tuple[str, ...] = ()


def read_windows(path: Path, rate: int, seconds: float, windows: Windows) -> Clip:
    """The windows of `seconds` at `rate` Hz that the policy takes of a file, mono (the mean of its channels).

    Reads the file once and to its end (`first`: until its window is full), holding a bounded number of windows; those
    of `all` lie in a temporary file. Raises AudioError, with the reason, for a file that is missing, empty, no audio,
    cut short, damaged, silent, or holds NaN or infinite samples. A wrong suffix, up to 1 % of damaged packets and a
    length over an hour are remarks.
    """
    with AudioFile(path) as file:
        cutter = Cutter(round(seconds * rate), windows)
        for block in file.mono(rate):
            cutter.add(block)
            if cutter.full:
                break
        cut = cutter.finish()
        if not len(cut):
            raise file.error("is silent" if file.seconds else "has no samples", "Leave it out, or get it again.")
        return Clip(cut, file.seconds, tuple(file.remarks))
