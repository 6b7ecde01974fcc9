"""Duration that a container declares, for comparison with the decoded duration.

FFmpeg reads this for most containers. This module covers the rest: data chunks of WAV, RF64, W64 and CAF, which FFmpeg
limits to the size of the file; the Xing and VBRI tags of MP3, in place of which FFmpeg may guess from the bit rate; and
the pages of Ogg, which FFmpeg does not check.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

import av
import av.container

from timbrec.audio.ogg import Pages

SLACK = 0.1  # seconds by which the containers of lossy codecs and their decoders may differ
_EXACT = ("flac", "aiff", "au", "wv", "tta", "ape")  # containers that count samples
_ESTIMATED = ("aac", "ac3")  # FFmpeg guesses their durations from the bit rate
_STRAY = 1 << 16  # bytes behind the data, outside any chunk, from which they may be sound


@dataclass(frozen=True)
class Declared:
    """Declared duration in `seconds`, 0 if unknown, and the `slack` in seconds within which a difference is normal.

    `stray` counts bytes behind the end of the data that the header declares. `exact` is True if the header counts
    samples or frames, so that more than it declares is odd, too.
    """

    seconds: float
    slack: float = SLACK
    stray: int = 0
    exact: bool = False


def declared_duration(
    path: Path, container: av.container.InputContainer, decoded: float, stamped: float, pages: Pages | None
) -> Declared:
    """Return the duration that an open file declares.

    `decoded` is the decoded duration in seconds, the scale for data chunks of an unknown byte rate. `stamped` is the
    span of the time stamps, which counts where the header declares nothing. `pages` are given for Ogg.
    """
    stream, kind = container.streams.audio[0], container.format.name.split(",")[0]
    sample = 1.5 / stream.rate
    if kind in ("wav", "w64", "caf"):
        chunk = data_chunk(path)
        return Declared(_seconds(chunk, decoded), sample, chunk.stray) if chunk else Declared(0.0)
    if kind == "mp3":
        return Declared(mp3_seconds(path, stream.rate), exact=True)
    if kind == "ogg" and pages is not None and len(pages.granules) > 1:  # of chained streams, FFmpeg knows the last
        rate = 48_000 if stream.codec_context.name.endswith("opus") else stream.rate
        return Declared(sum(pages.granules.values()) / rate if len(container.streams) == 1 else 0.0)
    if kind in _ESTIMATED:
        return Declared(0.0)
    if stream.duration and stream.time_base:
        exact = kind in _EXACT
        return Declared(float(stream.duration * stream.time_base), sample if exact else SLACK, exact=exact)
    if not container.duration:
        return Declared(0.0 if kind == "ogg" else stamped)
    start = max(0.0, float((stream.start_time or 0) * (stream.time_base or 0)))
    return Declared(container.duration / av.time_base - start)


class Chunk(NamedTuple):
    """Data chunk: bytes that its header declares, bytes present, bytes per second, and stray bytes behind it."""

    declared: int
    present: int
    per_second: int  # 0 if unknown
    stray: int = 0


def _seconds(chunk: Chunk, decoded: float) -> float:
    """Declared duration of a data chunk."""
    if chunk.present >= chunk.declared:
        return decoded
    if chunk.present and decoded:
        return decoded * chunk.declared / chunk.present
    return chunk.declared / chunk.per_second if chunk.per_second else 0.0


def data_chunk(path: Path) -> Chunk | None:
    """Data chunk of a WAV (RIFF, RIFX, RF64, BW64), W64 or CAF file; None if its size is a placeholder."""
    long_size = per_second = 0
    chunk: Chunk | None = None
    with path.open("rb") as file:
        end = file.seek(0, 2)
        for name, start, size in _chunks(file, end):
            file.seek(start)
            if name == b"ds64":
                long_size = int.from_bytes(file.read(16)[8:], "little")
            elif name == b"fmt ":
                per_second = int.from_bytes(file.read(12)[8:], "little")
            elif name == b"data" and chunk:  # a second chunk of samples, which no decoder reads
                chunk = chunk._replace(stray=chunk.stray + max(0, min(size, end - start)))
            elif name == b"data":
                size = long_size if size == 0xFFFF_FFFF and long_size else size
                if size <= 0 or 0x7FFF_0000 <= size <= 0x8000_0000 or 0xFFFF_0000 <= size <= 0xFFFF_FFFF:
                    return None  # written by programs that write to a pipe
                chunk = Chunk(size, max(0, min(size, end - start)), per_second, _stray(file, start + size, end))
    return chunk


def _chunks(file: BinaryIO, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, start and size of the content of each chunk."""
    file.seek(0)
    head = file.read(16)
    if head.startswith(b"riff"):  # W64: 16-byte names, 8-byte sizes that include the header, chunks aligned to 8 bytes
        place, form, grain, own = 40, struct.Struct("<4s12xq"), 8, 24
    elif head.startswith(b"caff"):
        place, form, grain, own = 8, struct.Struct(">4sq"), 1, 0
    else:
        place, form, grain, own = 12, struct.Struct(">4sI" if head.startswith(b"RIFX") else "<4sI"), 2, 0
    while place + form.size <= end:
        file.seek(place)
        name, size = form.unpack(file.read(form.size))
        size -= own
        edits = 4 * (name == b"data" and head.startswith(b"caff"))  # CAF puts an edit count in front of its samples
        yield name, place + form.size + edits, size - edits
        if size < 0:
            return
        place += form.size + size + -(form.size + size) % grain


def _stray(file: BinaryIO, place: int, end: int) -> int:
    """Number of bytes behind the data that do not begin like a chunk."""
    file.seek(min(place + place % 2, end))
    name = file.read(4)
    known = len(name) < 4 or all(32 <= byte < 127 for byte in name)
    return 0 if known or end - place < _STRAY else end - place


def mp3_seconds(path: Path, rate: int) -> float:
    """Duration by the Xing, Info or VBRI tag of an MP3 file, less the encoder's delay and padding; 0 without a tag."""
    with path.open("rb") as file:
        frame = _first_frame(file)
    if len(frame) < 4:
        return 0.0
    version, layer = (frame[1] >> 3) & 3, (frame[1] >> 1) & 3
    samples = {3: 384, 2: 1152, 1: 1152 if version == 3 else 576}.get(layer, 0)
    tag = max(frame[:80].find(b"Xing"), frame[:80].find(b"Info"))
    if tag > 0 and len(frame) >= tag + 144 and frame[tag + 7] & 1:
        count = int.from_bytes(frame[tag + 8 : tag + 12], "big")
        skipped = _lame_samples(frame, tag)
    elif frame[36:40] == b"VBRI":
        count, skipped = int.from_bytes(frame[50:54], "big"), 0
    else:
        return 0.0
    return max(0, count * samples - skipped) / rate


def _lame_samples(frame: bytes, tag: int) -> int:
    """Encoder delay plus padding in samples; the tag's flags say which fields precede them."""
    place = tag + 8 + sum(size for bit, size in ((1, 4), (2, 4), (4, 100), (8, 4)) if frame[tag + 7] & bit)
    three = int.from_bytes(frame[place + 21 : place + 24], "big")
    return (three >> 12) + (three & 0xFFF)


def _first_frame(file: BinaryIO) -> bytes:
    """First bytes of the first MPEG frame, behind any ID3 tags."""
    place = 0
    while (head := file.read(10)).startswith(b"ID3") and len(head) == 10:
        size = sum((byte & 0x7F) << shift for byte, shift in zip(head[6:], (21, 14, 7, 0), strict=True))
        place += 10 + size + 10 * bool(head[5] & 0x10)
        file.seek(place)
    file.seek(place)
    content = file.read(1 << 16)
    for start in range(len(content) - 3):
        if content[start] == 0xFF and content[start + 1] & 0xE0 == 0xE0 and content[start + 1] & 6:
            return content[start : start + 512]
    return b""
