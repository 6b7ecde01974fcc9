"""Reading an audio file as blocks of mono samples at any rate.

FFmpeg decodes, through PyAV, which includes it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path

import av
import av.container
import av.error
import numpy as np

from timbrec.audio.declared import declared_duration
from timbrec.audio.kinds import CONTAINERS, OPTIONS, READABLE, description, ends_inside_box, lacks_index
from timbrec.audio.ogg import read_pages
from timbrec.audio.resampling import SOXR, resampler
from timbrec.audio.sound import Levels, Remark
from timbrec.errors import AudioError
from timbrec.types import Array, Float32

VERSION = 4  # raised when the checks of files change: failures noted by another version are tried again
NAMED = "it is named "  # start of the remark on a suffix, which depends on the name and not on the content
LONG = 3600.0  # seconds; a longer file may hold several tracks
LOWEST_RATE = 1000  # Hz; a block at a lower rate would last for hours
MOST_CHANNELS = 8  # beyond that, PyAV 18 miscounts planes and reads outside its buffers
_AGAIN = "Get it again."
_BAD_SHARE, _BAD_SECONDS = 0.01, 0.1  # share and seconds that may be missing from a file that is used
_BLOCK = 1 << 16
_UNDECODABLE = (av.error.InvalidDataError, av.error.ArgumentError, av.error.EOFError)
_SAMPLES: dict[str, tuple[type, int, int]] = {  # FFmpeg's sample formats: type, full scale, zero
    "u8": (np.uint8, 128, 128),
    "s16": (np.int16, 1 << 15, 0),
    "s32": (np.int32, 1 << 31, 0),
    "s64": (np.int64, 1 << 63, 0),
    "flt": (np.float32, 1, 0),
    "dbl": (np.float64, 1, 0),
}


class AudioFile:
    """An open audio file, to be read once from start to end. Its kind is detected by content, not by suffix.

    `rate` is the sample rate in Hz and `state` the size and modification time (ns) when it was opened. `seconds` and
    `remarks` grow while the file is read. Raises AudioError, with a reason and a fix, for a file that is missing,
    empty, or of an unsupported kind.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.seconds = path if isinstance(path, Path) else Path(path), 0.0
        self.remarks: list[Remark] = []
        self._damaged = False
        self._first: int | None = None  # time stamps of the first packet and of the end of the last
        self._last: int | None = None
        with self._reasons():
            self.state = _state(self.path)
            if not self.state[0]:
                raise self.error("is empty", _AGAIN)
            self._container = self._opened()
        streams = self._container.streams.audio
        self.rate: int = getattr(streams[0], "rate", 0) if streams else 0  # unknown codecs have no rate
        if self.rate < LOWEST_RATE:
            self._container.close()
            if not self.rate:
                raise self._unreadable() if description(self.path) else self.error("holds no audio", "Leave it out.")
            raise self.error(f"has a sample rate of {self.rate:,} Hz", "Leave it out.")
        self._stream = streams[0]
        self._levels = Levels(self.rate)
        if self._container.format.name in ("flac", "wv"):  # FFmpeg would decode frames with wrong checksums
            self._stream.codec_context.options = {"err_detect": "crccheck+explode"}
        self._remark_on_name()
        if len(streams) > 1:
            self._remark(f"it holds {len(streams)} streams of sound; the first is used", "Export the right one.")

    def __enter__(self) -> AudioFile:
        return self

    def __exit__(self, *_: object) -> None:
        self._container.close()

    def error(self, reason: str, fix: str = "", passing: bool = False) -> AudioError:
        """Build an error about this file; a `passing` error may be gone when the same file is read again."""
        return AudioError(f"{self.path}: it {reason}", fix=fix, passing=passing)

    def mono(self, rate: int, by: str = SOXR) -> Iterator[Float32[Array, "n"]]:
        """Yield blocks of the mean of the channels at `rate` Hz, resampled `by` a resampler.

        Raises AudioError like `read_windows`, and ConfigError like `check_resampler`.
        """
        resample = resampler(self.rate, rate, by)
        for block in self.blocks():
            yield resample(block)
        yield resample.rest()

    def blocks(self) -> Iterator[Float32[Array, "n"]]:
        """Yield blocks of the mean of the channels at the file's own rate. Raises AudioError like `read_windows`."""
        with self._reasons():
            for (kind, channels), frames in groupby(self._frames(), key=_layout):
                if channels > MOST_CHANNELS:
                    raise self.error(f"has {channels} channels", "Mix it down to eight or fewer.")
                for frame in _joined(frames):
                    block, planes = _mono(frame, kind, channels)
                    self.seconds += len(block) / self.rate
                    if not self._levels.add(block, planes, *_SAMPLES[kind.removesuffix("p")][1:]):
                        raise self.error("holds samples that are NaN or infinite", "Write it again.")
                    yield block
            self.refuse_changed()
            self._compare_durations()
        if self.seconds >= LONG:
            self._remark(f"it is {self.seconds / 3600:.1f} hours long", "Cut it into tracks, if it holds several.")

    def refuse_odd_sound(self) -> None:
        """Raise AudioError if the samples read so far are unusable, and add remarks on odd levels."""
        if error := self._levels.error():
            raise self.error(*error)
        self.remarks += self._levels.remarks()

    def refuse_changed(self) -> None:
        """Raise AudioError if the size or modification time of the file has changed since it was opened."""
        with self._reasons():
            if _state(self.path) != self.state:
                raise self.error("was changed while it was read", "Run again when it is finished.", passing=True)

    def _frames(self) -> Iterator[av.AudioFrame]:
        """Yield decoded frames. Single damaged packets are skipped, as players do."""
        packets = damaged = 0
        for packet in self._container.demux(self._stream):
            packets += 1
            if packet.pts is not None:
                self._first = packet.pts if self._first is None else self._first
                self._last = packet.pts + (packet.duration or 0)
            try:
                frames = packet.decode()
            except av.error.FFmpegError:
                damaged += 1
                continue
            for frame in frames:
                if frame.sample_rate != self.rate:
                    raise self.error(f"changes its rate from {self.rate:,} to {frame.sample_rate:,} Hz", "Convert it.")
                yield frame
        self._judge("packets", damaged, packets)

    def _compare_durations(self) -> None:
        """Raise AudioError, or add a remark, if less was decoded than the container declares."""
        pages = read_pages(self.path) if self._container.format.name == "ogg" else None
        if pages is not None:
            if not pages.whole:
                raise self.error(f"is cut short: it ends inside a page, after {self.seconds:.1f} s", _AGAIN)
            self._judge("pages", pages.bad, pages.count + pages.bad)
            if not pages.ended:
                self._remark("its last page is not marked as the last: it may be cut short", _AGAIN)
        declared = declared_duration(self.path, self._container, self.seconds, self._stamped, pages)
        missing = declared.seconds - self.seconds
        if missing > _BAD_SHARE * declared.seconds + _BAD_SECONDS:
            raise self.error(f"is cut short: {self.seconds:.1f} of {declared.seconds:.1f} s can be decoded", _AGAIN)
        if missing > declared.slack and not self._damaged:
            self._remark(f"it lacks {missing:.2g} of the {declared.seconds:.1f} s that its header declares", _AGAIN)
        elif declared.exact and self.seconds > (1 + _BAD_SHARE) * declared.seconds + _BAD_SECONDS > _BAD_SECONDS:
            self._remark(
                f"it holds {self.seconds:.1f} s, but its header declares {declared.seconds:.1f} s: it may be several "
                "files in one",
                "Split it, or write it again.",
            )
        if self._container.format.name.startswith("mov") and ends_inside_box(self.path):
            self._remark("it ends inside a part of its container: it may be cut short", _AGAIN)
        if declared.stray:
            self._remark(
                f"{declared.stray:,} bytes behind the end that its header declares are not read", "Write it again."
            )

    @property
    def _stamped(self) -> float:
        """Seconds from the first time stamp to the end of the last packet; 0 without time stamps."""
        if self._first is None or self._last is None or self._stream.time_base is None:
            return 0.0
        return float((self._last - self._first) * self._stream.time_base)

    def _judge(self, parts: str, bad: int, count: int) -> None:
        """Raise AudioError for more than 1 % of bad packets or pages, and add a remark on fewer."""
        if bad > 1 + _BAD_SHARE * count:
            raise self.error(f"is damaged: {bad:,} of {count:,} {parts} cannot be decoded", _AGAIN)
        self._damaged |= bool(bad)
        if bad:
            self._remark(f"{bad:,} of {count:,} {parts} are damaged and left out", _AGAIN)

    def _remark(self, reason: str, fix: str) -> None:
        self.remarks.append(Remark(reason, fix))

    def _remark_on_name(self) -> None:
        suffix, kinds = self.path.suffix.lower(), self._container.format.name.split(",")
        if CONTAINERS.get(suffix) not in kinds:
            self._remark(f"{NAMED}{suffix or 'without suffix'}, but its content is {kinds[0]}", "Rename it.")

    def _opened(self) -> av.container.InputContainer:
        try:
            return av.open(f"file:{os.fspath(self.path)}", metadata_errors="replace", container_options=OPTIONS)
        except (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError):
            raise
        except av.error.FFmpegError as error:
            if isinstance(error, _UNDECODABLE) or description(self.path):
                raise self._unreadable() from error
            raise

    def _unreadable(self) -> AudioError:
        """Build the error for a file that FFmpeg does not recognise; names its kind, if its first bytes tell."""
        if lacks_index(self.path):
            return self.error("is cut short: it has no index (moov), which some programs write last", _AGAIN)
        kind = description(self.path)
        reason = f"is {kind}, which is not read" if kind else "is no audio that can be decoded"
        return self.error(reason, f"Get it again, convert it, or leave it out. {READABLE}")

    @contextmanager
    def _reasons(self) -> Iterator[None]:
        """Turn errors of FFmpeg and the operating system into AudioError."""
        try:
            yield
        except (FileNotFoundError, NotADirectoryError) as error:
            raise self.error("does not exist", "Check the path.", passing=True) from error
        except (av.error.InvalidDataError, av.error.EOFError) as error:
            if self.seconds:
                raise self.error(f"is damaged: nothing can be decoded after {self.seconds:.1f} s", _AGAIN) from error
            raise self.error("is no audio that can be decoded", f"Get it again, or leave it out. {READABLE}") from error
        except (av.error.FFmpegError, OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            fix = "Check the file, its name and its permissions."
            raise self.error(f"cannot be read: {reason}", fix, passing=True) from error


def load_mono(path: Path, rate: int, by: str = SOXR) -> Float32[Array, "samples"]:
    """Return all samples of a file at `rate` Hz, mono, resampled `by` a resampler.

    Raises AudioError like `read_windows`, except for odd levels.
    """
    with AudioFile(path) as file:
        return np.concatenate([np.empty(0, np.float32), *file.mono(rate, by)])


def _layout(frame: av.AudioFrame) -> tuple[str, int]:
    """Sample format and number of channels; each may change within a file."""
    return frame.format.name, frame.layout.nb_channels


def _state(path: Path) -> tuple[int, int]:
    facts = path.stat()
    return facts.st_size, facts.st_mtime_ns


def _joined(frames: Iterable[av.AudioFrame]) -> Iterator[av.AudioFrame]:
    """Join frames of one layout into blocks, by FFmpeg's own queue.

    MP3 frames have 1,152 samples: numpy calls on each would take as long as decoding.
    """
    held = av.AudioFifo()
    for frame in frames:
        frame.pts = None  # the queue would refuse frames after a packet that was left out
        held.write(frame)
        if held.samples >= _BLOCK:
            yield _all_of(held)
    if held.samples:
        yield _all_of(held)


def _all_of(queue: av.AudioFifo) -> av.AudioFrame:
    frame = queue.read()
    assert frame is not None, "it holds samples"
    return frame


def _mono(frame: av.AudioFrame, kind: str, channels: int) -> tuple[Float32[Array, "n"], list[Array]]:
    """Return the mean of the channels, with full scale as 1, and the channels as decoded."""
    dtype, scale, zero = _SAMPLES[kind.removesuffix("p")]
    parts: list[Array]
    if frame.format.is_planar:
        planes = frame.planes[:channels]  # PyAV lists too many planes for eight channels
        parts = [np.frombuffer(memoryview(plane), dtype, frame.samples) for plane in planes]  # some are padded
    else:
        parts = list(
            np.frombuffer(memoryview(frame.planes[0]), dtype, frame.samples * channels).reshape(-1, channels).T
        )
    with np.errstate(over="ignore", invalid="ignore"):  # the caller refuses samples that are not finite
        first, *rest = parts
        mono = np.add(first, rest[0], dtype=np.float32) if rest else first.astype(np.float32)
        for part in rest[1:]:
            mono += part
        if zero:
            mono -= zero * channels
        if scale * channels > 1:
            mono *= np.float32(1 / (scale * channels))
    return mono, parts
