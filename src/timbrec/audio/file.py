"""An audio file as blocks of mono samples at any rate.

Decoding is FFmpeg's, through PyAV, whose wheels bring it along; resampling is soxr's HQ.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path

import av
import av.container
import av.error
import numpy as np
import soxr

from timbrec.errors import AudioError
from timbrec.types import Array, Float32

CONTAINERS = {  # what FFmpeg calls the content of files that are called so
    ".wav": "wav",
    ".flac": "flac",
    ".mp3": "mp3",
    ".ogg": "ogg",
    ".oga": "ogg",
    ".opus": "ogg",
    ".m4a": "mov",
    ".mp4": "mov",
    ".aac": "aac",
    ".aif": "aiff",
    ".aiff": "aiff",
}
LONG = 3600.0  # seconds from which a file is remarked on: is it one track?
SLOWEST = 1000  # Hz; a block at a lower rate would be hours long
MOST_CHANNELS = 8  # of more planes PyAV 18 loses count, and reads beyond them
_BLOCK = 1 << 16
_SAMPLES: dict[str, tuple[type, int, int]] = {  # FFmpeg's sample formats: type, full scale, zero
    "u8": (np.uint8, 128, 128),
    "s16": (np.int16, 1 << 15, 0),
    "s32": (np.int32, 1 << 31, 0),
    "s64": (np.int64, 1 << 63, 0),
    "flt": (np.float32, 1, 0),
    "dbl": (np.float64, 1, 0),
}
# A file may be named .mp3 and be a playlist: only these kinds are opened, and only as files.
_OPTIONS = {"format_whitelist": ",".join(sorted(set(CONTAINERS.values()))), "protocol_whitelist": "file"}


class AudioFile:
    """An audio file, to be read once from its start: what it is goes by its content, whatever its name.

    `rate` in Hz; `state` is its size and time of change (ns); `seconds` and `remarks` tell of what was read so far.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.seconds = Path(path), 0.0
        self.remarks: list[str] = []
        with self._reasons():
            self.state = _state(self.path)
            if not self.state[0]:
                raise self.error("is empty", "Get it again.")
            self._container = av.open(f"file:{self.path}", metadata_errors="replace", container_options=_OPTIONS)
        streams = self._container.streams.audio
        self.rate: int = getattr(streams[0], "rate", 0) if streams else 0  # of an unknown codec it has none
        if self.rate < SLOWEST:
            self._container.close()
            raise self.error(
                f"has a sample rate of {self.rate:,} Hz" if self.rate else "holds no audio", "Leave it out."
            )
        self._stream = streams[0]
        self._remark_on_name()

    def __enter__(self) -> AudioFile:
        return self

    def __exit__(self, *_: object) -> None:
        self._container.close()

    def error(self, reason: str, fix: str = "") -> AudioError:
        """An error about this file."""
        return AudioError(f"{self.path}: it {reason}", fix=fix)

    def mono(self, rate: int) -> Iterator[Float32[Array, "n"]]:
        """The mean of the channels at `rate` Hz, a block at a time. Raises AudioError as `read_windows` says."""
        resample = Resampler(self.rate, rate)
        for block in self.blocks():
            yield resample(block)
        yield resample.rest()

    def blocks(self) -> Iterator[Float32[Array, "n"]]:
        """The mean of the channels at the file's own rate."""
        with self._reasons():
            for (kind, channels), frames in groupby(self._frames(), key=_layout):
                if channels > MOST_CHANNELS:
                    raise self.error(f"has {channels} channels", "Mix it down to eight or fewer.")
                for frame in _joined(frames):
                    block = _mono(frame, kind, channels)
                    self.seconds += len(block) / self.rate
                    if not np.isfinite(block.sum()) and not np.isfinite(block).all():  # a sum alone may overflow
                        raise self.error("holds samples that are NaN or infinite", "Write it again.")
                    yield block
            self.refuse_changed()
            if self.seconds < 0.99 * self._promised() - 0.1 or _ends_early(self.path):
                raise self.error(f"is cut short: it ends after {self.seconds:.1f} s", "Get it again.")
        if self.seconds >= LONG:
            self.remarks.append(f"it is {self.seconds / 3600:.1f} hours long")

    def refuse_changed(self) -> None:
        """Raise AudioError if the file is no longer what it was when it was opened."""
        with self._reasons():
            if _state(self.path) != self.state:
                raise self.error("was changed while it was read", "Run again when it is finished.")

    def _frames(self) -> Iterator[av.AudioFrame]:
        """Decoded frames; single damaged packets are left out, as players do."""
        packets = damaged = 0
        for packet in self._container.demux(self._stream):
            packets += 1
            try:
                frames = packet.decode()
            except av.error.FFmpegError:
                damaged += 1
                continue
            for frame in frames:
                if frame.sample_rate != self.rate:
                    raise self.error(f"changes its rate from {self.rate:,} to {frame.sample_rate:,} Hz", "Convert it.")
                yield frame
        if damaged > 1 + packets / 100:
            raise self.error(f"is damaged: {damaged:,} of {packets:,} packets cannot be decoded", "Get it again.")
        if damaged:
            self.remarks.append(f"{damaged:,} of {packets:,} packets are damaged and left out")

    def _promised(self) -> float:
        """The seconds the file's header says it has; 0 where that would be FFmpeg's guess from the bit rate."""
        stream, kind = self._stream, self._container.format.name
        # An MP3 starts after 0 only where a Xing header, which knows the length, tells the encoder's delay.
        known = kind in ("flac", "aiff") or kind.startswith("mov") or (kind == "mp3" and (stream.start_time or 0) > 0)
        return float(stream.duration * stream.time_base) if known and stream.duration and stream.time_base else 0.0

    def _remark_on_name(self) -> None:
        suffix, kinds = self.path.suffix.lower(), self._container.format.name.split(",")
        if CONTAINERS.get(suffix) not in kinds:
            self.remarks.append(f"it is named {suffix or 'without suffix'}, but its content is {kinds[0]}")

    @contextmanager
    def _reasons(self) -> Iterator[None]:
        """FFmpeg's and the system's failures as one kind of error."""
        try:
            yield
        except (FileNotFoundError, NotADirectoryError) as error:
            raise self.error("does not exist", "Check the path.") from error
        except (av.error.InvalidDataError, av.error.EOFError) as error:
            raise self.error("is no audio that can be decoded", "Get it again, or leave it out.") from error
        except (av.error.FFmpegError, OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise self.error(f"cannot be read: {reason}", "Check the file, its name and its permissions.") from error


class Resampler:
    """A stream of blocks at one rate, made one at another; at the same rate, the blocks themselves."""

    def __init__(self, rate: int, to: int) -> None:
        self._stream = None if rate == to else soxr.ResampleStream(rate, to, 1, dtype="float32", quality="HQ")

    def __call__(self, block: Float32[Array, "n"]) -> Float32[Array, "m"]:
        """What is finished with the next block."""
        return block if self._stream is None else self._stream.resample_chunk(block)

    def rest(self) -> Float32[Array, "m"]:
        """What is left behind the last block."""
        nothing = np.empty(0, np.float32)
        return nothing if self._stream is None else self._stream.resample_chunk(nothing, last=True)


def load_mono(path: Path, rate: int) -> Float32[Array, "samples"]:
    """All samples of a file at `rate` Hz, mono. Raises AudioError like `read_windows`, but silence is no error."""
    with AudioFile(path) as file:
        return np.concatenate([np.empty(0, np.float32), *file.mono(rate)])


def _layout(frame: av.AudioFrame) -> tuple[str, int]:
    """The sample format and the number of channels; both may change within a file."""
    return frame.format.name, frame.layout.nb_channels


def _state(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_size, found.st_mtime_ns


def _joined(frames: Iterable[av.AudioFrame]) -> Iterator[av.AudioFrame]:
    """Frames of one layout, joined to such as make a block, by FFmpeg's own queue.

    An MP3's frames have 1,152 samples: arithmetic on each would take as long as decoding it.
    """
    held = av.AudioFifo()
    for frame in frames:
        frame.pts = None  # the queue would refuse what follows a packet that was left out
        held.write(frame)
        if held.samples >= _BLOCK:
            yield _all_of(held)
    if held.samples:
        yield _all_of(held)


def _all_of(queue: av.AudioFifo) -> av.AudioFrame:
    frame = queue.read()
    assert frame is not None, "it holds samples"
    return frame


def _mono(frame: av.AudioFrame, kind: str, channels: int) -> Float32[Array, "n"]:
    """The mean of the channels, full scale as 1."""
    dtype, scale, zero = _SAMPLES[kind.removesuffix("p")]
    parts: list[Array]
    if frame.format.is_planar:
        planes = frame.planes[:channels]  # of eight, PyAV lists more than there are
        parts = [np.frombuffer(memoryview(plane), dtype, frame.samples) for plane in planes]  # some are padded
    else:
        parts = list(
            np.frombuffer(memoryview(frame.planes[0]), dtype, frame.samples * channels).reshape(-1, channels).T
        )
    with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is refused with its file's name
        first, *rest = parts
        mono = np.add(first, rest[0], dtype=np.float32) if rest else first.astype(np.float32)
        for part in rest[1:]:
            mono += part
        if zero:
            mono -= zero * channels
        if scale * channels > 1:
            mono *= np.float32(1 / (scale * channels))
    return mono


def _ends_early(path: Path) -> bool:
    """Whether a WAV or Ogg file has fewer bytes than it says, which FFmpeg overlooks."""
    with path.open("rb") as file:
        head, size = file.read(8), file.seek(0, 2)
        if head[:4] == b"RIFF":
            said = int.from_bytes(head[4:], "little") + 8
            return size < said < 0x7FFF_0000  # larger numbers are what writers to a pipe put there
        if head[:4] != b"OggS":
            return False
        file.seek(max(0, size - (1 << 17)))  # two of the longest pages
        page = file.read()
        page = page[page.rfind(b"OggS") :]
        segments = page[27 : 27 + page[26]] if len(page) > 26 else b""
        return len(page) < 28 or len(page) < 27 + page[26] + sum(segments)
