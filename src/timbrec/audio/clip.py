"""Windows of an audio file, as encoders take them, and a hash of the decoded audio."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from timbrec.audio.file import AudioFile
from timbrec.audio.resampling import SOXR, resampler
from timbrec.audio.sound import Remark
from timbrec.audio.windows import Cutter, Windows
from timbrec.errors import AudioError
from timbrec.types import Array, Float32


class Cut(NamedTuple):
    """Request for windows of `seconds` at `rate` Hz, chosen by `windows` after the `resampler`."""

    rate: int
    seconds: float
    windows: Windows
    resampler: str = SOXR


@dataclass(frozen=True, eq=False)
class Clip:
    """Windows of one track (n >= 1, equal lengths), the track's length in seconds, and remarks on its file.

    `audio` is a hash of the decoded samples (mono, float32, at the file's own rate). It covers the whole file, or, with
    `first` and `padded`, the part up to the end of the window. Tags, names and containers do not change it.
    """

    windows: Float32[Array, "n samples"]
    seconds: float
    remarks: tuple[Remark, ...] = ()
    audio: str = ""


def read_windows(path: Path, rate: int, seconds: float, windows: Windows) -> Clip:
    """Return the windows of a file that the policy chooses, mono (mean of the channels), `seconds` long at `rate` Hz.

    Reads the file once, to its end (`first` and `padded`: until the window is full). Memory is bounded; the windows of
    `all` are kept in a temporary file. Raises AudioError, with a reason and a fix, for a file that is missing, empty,
    of an unknown kind, cut short, damaged, modified while it is read, silent or constant, and for samples that are NaN,
    infinite or above 100 times full scale, and channels in opposite phase. Remarks: a wrong suffix, up to 1 % of
    damaged packets or missing samples, more than an hour, peaks above twice full scale, channels that nearly cancel
    each other, or cancel each other in a part of the track. Raises StoreError if the temporary folder is full.
    """
    (clip,) = read_clips(path, [Cut(rate, seconds, windows)])
    if isinstance(clip, AudioError):
        raise clip
    return clip


def read_clips(path: Path, cuts: Sequence[Cut], state: tuple[int, int] | None = None) -> list[Clip | AudioError]:
    """Return the result of `read_windows` for each cut. The file is decoded once, and resampled once per rate
    and resampler.

    An AudioError in the list concerns one cut only: its windows are silent. `state` is the expected size and
    modification time (ns) of the file; by default, those at the time of opening.
    """
    with AudioFile(path) as file:
        file.state = state or file.state
        takers = [_Taker(cut) for cut in cuts]
        resamplers = {(cut.rate, cut.resampler): resampler(file.rate, cut.rate, cut.resampler) for cut in cuts}
        audio = hashlib.sha256(f"{file.rate} Hz ".encode())
        for block in file.blocks():
            audio.update(block.data)
            for stream in {taker.stream for taker in takers if not taker.full}:
                resampled = resamplers[stream](block)
                for taker in takers:
                    if taker.stream == stream:
                        taker.add(resampled, audio)
            if all(taker.full for taker in takers):
                break
        file.refuse_changed()
        file.refuse_odd_sound()
        rests = {stream: resample.rest() for stream, resample in resamplers.items()}
        for taker in takers:
            taker.add(rests[taker.stream], audio)
        return [taker.clip(file, audio.hexdigest()) for taker in takers]


class _Taker:
    """Collector of the windows of one cut; keeps the hash of the samples decoded until it was full."""

    def __init__(self, cut: Cut) -> None:
        self.stream = cut.rate, cut.resampler
        self._cutter, self._audio = Cutter(round(cut.seconds * cut.rate), cut.windows), ""

    @property
    def full(self) -> bool:
        return self._cutter.full

    def add(self, block: Float32[Array, "n"], audio: hashlib._Hash) -> None:
        if not self.full:
            self._cutter.add(block)
            self._audio = audio.hexdigest() if self.full else ""

    def clip(self, file: AudioFile, audio: str) -> Clip | AudioError:
        windows = self._cutter.finish()
        if not len(windows):
            return file.error("is silent" if file.seconds else "has no samples", "Leave it out, or get it again.")
        return Clip(windows, file.seconds, tuple(file.remarks), (self._audio or audio)[:32])
