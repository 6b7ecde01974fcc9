"""The windows of an audio file that encoders get, and the hash of its audio."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from timbrec.audio.file import AudioFile, Resampler
from timbrec.audio.sound import Remark
from timbrec.audio.windows import Cutter, Windows
from timbrec.errors import AudioError
from timbrec.types import Array, Float32


class Cut(NamedTuple):
    """Windows of `seconds` at `rate` Hz, to be cut out of a file."""

    rate: int
    seconds: float
    windows: Windows


@dataclass(frozen=True, eq=False)
class Clip:
    """The windows of one track (n >= 1, all of one length), its length in seconds, and remarks on its file.

    `audio` is a hash of the decoded samples (mono, float32, at the file's own rate): of the whole file, or of the part
    that filled the window of `first` and `padded`. Tags, names and containers are no part of it.
    """

    windows: Float32[Array, "n samples"]
    seconds: float
    remarks: tuple[Remark, ...] = ()
    audio: str = ""


def read_windows(path: Path, rate: int, seconds: float, windows: Windows) -> Clip:
    """The windows of `seconds` at `rate` Hz that the policy takes of a file, mono (the mean of its channels).

    Reads the file once and to its end (`first`: until its window is full), and holds a bounded number of windows; those
    of `all` lie in a temporary file. Raises AudioError, with the reason and a fix, for a file that is missing, empty,
    of another kind, cut short, damaged, changed meanwhile, silent, constant, or holds NaN, infinite or enormous samples
    or channels that cancel each other. Remarks: a wrong suffix, up to 1 % of damaged packets or missing samples, a
    length over an hour, peaks above twice full scale, channels that nearly cancel each other. Raises StoreError where
    the temporary folder is full.
    """
    (clip,) = read_clips(path, [Cut(rate, seconds, windows)])
    if isinstance(clip, AudioError):
        raise clip
    return clip


def read_clips(path: Path, cuts: Sequence[Cut], state: tuple[int, int] | None = None) -> list[Clip | AudioError]:
    """The result of `read_windows` for each cut, from one decoding, and one resampling per rate.

    An AudioError in the list concerns one cut alone: its windows are silent. `state` is the size and time of change
    (ns) that the file must still have.
    """
    with AudioFile(path) as file:
        file.state = state or file.state
        takers = [_Taker(cut) for cut in cuts]
        resamplers = {cut.rate: Resampler(file.rate, cut.rate) for cut in cuts}
        audio = hashlib.sha256(f"{file.rate} Hz ".encode())
        for block in file.blocks():
            audio.update(block.data)
            for rate in {taker.rate for taker in takers if not taker.full}:
                resampled = resamplers[rate](block)
                for taker in takers:
                    if taker.rate == rate:
                        taker.add(resampled, audio)
            if all(taker.full for taker in takers):
                break
        file.refuse_changed()
        file.refuse_odd_sound()
        for taker in takers:
            taker.add(resamplers[taker.rate].rest(), audio)
        return [taker.clip(file, audio.hexdigest()) for taker in takers]


class _Taker:
    """Cuts the windows of one cut, and keeps the hash of the samples decoded until it was full."""

    def __init__(self, cut: Cut) -> None:
        self.rate, self._seconds = cut.rate, cut.seconds
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
