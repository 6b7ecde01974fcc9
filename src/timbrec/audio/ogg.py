"""Pages of an Ogg file: lost and damaged pages, a cut last page, and the duration by their granules (RFC 3533)."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field
from mmap import ACCESS_READ, mmap
from pathlib import Path

_HEAD = struct.Struct("<4sBBqIIIB")  # RFC 3533: capture, version, flags, granule, serial, number, checksum, segments
_FIRST, _LAST = 2, 4  # flags: of the first and of the last page of a stream
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


@dataclass
class Pages:
    """Summary of the pages of an Ogg file.

    `count` pages are intact, `lost` counts skipped page numbers, and `damaged` counts wrong checksums. `whole` is False
    if the file ends inside a page; `ended` is False if the last page lacks the end-of-stream flag. `granules` holds the
    last granule of each logical stream, chained or multiplexed, by serial number.
    """

    count: int = 0
    lost: int = 0
    damaged: int = 0
    whole: bool = True
    ended: bool = False
    granules: dict[int, int] = field(default_factory=dict)

    @property
    def bad(self) -> int:
        """Number of pages that are lost or damaged."""
        return self.lost + self.damaged


def read_pages(path: Path) -> Pages:
    """Read all pages of an Ogg file and check their numbers and checksums."""
    with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as content:
        return _read(content)


def _read(content: mmap) -> Pages:
    pages, numbers, place = Pages(), dict[int, int](), 0
    while (place := content.find(b"OggS", place)) >= 0:
        size = _size(content, place)
        if place + size > len(content):
            pages.whole = False
            break
        _, _, flags, granule, serial, number, checksum, _ = _HEAD.unpack_from(content, place)
        if _checksum(content[place : place + size]) != checksum:
            pages.damaged += 1
            place += 4
            continue
        pages.count += 1
        if serial in numbers and not flags & _FIRST:
            pages.lost += max(0, number - numbers[serial] - 1)
        numbers[serial] = number
        pages.granules[serial] = max(granule, pages.granules.get(serial, 0))
        pages.ended = bool(flags & _LAST)
        place += size
    pages.lost = max(0, pages.lost - pages.damaged)  # the number of a damaged page is missing, too
    return pages


def _size(content: mmap, place: int) -> int:
    """Size in bytes of the page at a place, by its header; beyond the end of the file if the header itself is cut."""
    if place + _HEAD.size > len(content):
        return _HEAD.size
    segments = content[place + _HEAD.size - 1]
    return _HEAD.size + segments + sum(content[place + _HEAD.size : place + _HEAD.size + segments])


def _checksum(page: bytes) -> int:
    """Ogg's CRC-32 of a page: zlib's CRC of the bit-reversed bytes, without the inversions at start and end."""
    blank = page[:22] + bytes(4) + page[26:]
    reflected = zlib.crc32(blank.translate(_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{reflected:032b}"[::-1], 2)
