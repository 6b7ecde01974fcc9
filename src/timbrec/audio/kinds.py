"""Supported containers by file suffix, and recognition of other files by their first bytes."""

from __future__ import annotations

import codecs
from pathlib import Path

CONTAINERS = {  # suffix: FFmpeg's name of the container
    ".wav": "wav",
    ".wave": "wav",
    ".bwf": "wav",
    ".rf64": "wav",
    ".w64": "w64",
    ".flac": "flac",
    ".mp3": "mp3",
    ".mp2": "mp3",
    ".ogg": "ogg",
    ".oga": "ogg",
    ".opus": "ogg",
    ".spx": "ogg",
    ".m4a": "mov",
    ".m4b": "mov",
    ".mp4": "mov",
    ".aac": "aac",
    ".aif": "aiff",
    ".aiff": "aiff",
    ".aifc": "aiff",
    ".wma": "asf",
    ".wv": "wv",
    ".mka": "matroska",
    ".webm": "matroska",
    ".ape": "ape",
    ".tta": "tta",
    ".au": "au",
    ".snd": "au",
    ".caf": "caf",
    ".mpc": "mpc8",
    ".dsf": "dsf",
}
# A playlist named .mp3 could make FFmpeg open other files and addresses: allow these containers and local files only.
OPTIONS = {"format_whitelist": ",".join(sorted({*CONTAINERS.values(), "mpc"})), "protocol_whitelist": "file"}
READABLE = f"Kinds that can be read: {', '.join(suffix[1:] for suffix in CONTAINERS)}."
_SIGNATURES = (  # lower case, since HTML comes in both
    (b"<!doctype html", "an HTML page"),
    (b"<html", "an HTML page"),
    (b"<?xml", "an XML file"),
    (b"#extm3u", "a playlist"),
    (b"[playlist]", "a playlist"),
    (b"%pdf", "a PDF file"),
    (b"pk\x03\x04", "a ZIP archive"),
    (b"rar!", "a RAR archive"),
    (b"7z\xbc\xaf", "a 7z archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"\x89png", "a PNG image"),
    (b"gif8", "a GIF image"),
    (b"mthd", "MIDI (notes without sound)"),
    (b".rmf", "RealMedia"),
    (b"\x0b\x77", "AC-3"),
    (b"\x7f\xfe\x80\x01", "DTS"),
    (b".ra\xfd", "RealAudio"),
    (b"#!amr", "AMR speech"),
    (b"ajkg", "Shorten"),
    (b"tbak", "TAK"),
    (b"ofr ", "OptimFROG"),
    (b"frm8", "DSDIFF"),
    (b"extended module", "a tracker module"),
    (b"impm", "a tracker module"),
    (b"\x00\x05\x16\x07", "a file of macOS metadata (AppleDouble)"),
    (b"bplist", "a property list"),
    (b"sqlite", "a database"),
    (b"version https://git-lfs", "a Git LFS pointer (its content was not fetched)"),
    (b"\x93numpy", "a NumPy array"),
    (b"\x89hdf", "an HDF5 file"),
    (b"par1", "a Parquet table"),
)


def description(path: Path) -> str:
    """Kind of an unreadable file by its first bytes, e.g. "an HTML page"; empty if it is unknown."""
    with path.open("rb") as file:
        head = file.read(1024)
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    for signature, name in _SIGNATURES:
        if start.startswith(signature.lstrip()) or head.lower().startswith(signature):
            return name
    if not head.strip(b"\0"):
        return "a file of zeros"
    return "text" if _is_text(head) else ""


def _is_text(head: bytes) -> bool:
    """Whether bytes are printable text in UTF-8 or, behind a byte order mark, in UTF-16."""
    coding = "utf-16" if head.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8"
    whole = head[: len(head) & ~1] if coding == "utf-16" else head
    try:
        text = codecs.getincrementaldecoder(coding)().decode(whole)  # the last character may be cut
    except UnicodeDecodeError:
        return False
    return all(character.isprintable() or character in "\t\n\r" for character in text)


def lacks_index(path: Path) -> bool:
    """Whether a file starts like MP4 and has no `moov` box: the end is missing, or the middle of it."""
    names = [name for name, _ in _boxes(path)]
    return names[:1] == [b"ftyp"] and b"moov" not in names


def ends_inside_box(path: Path) -> bool:
    """Whether the last box of an MP4 file is longer than the rest of the file."""
    boxes = _boxes(path)
    return bool(boxes) and boxes[-1][1] > path.stat().st_size


def _boxes(path: Path) -> list[tuple[bytes, int]]:
    """Name and declared end of each top-level box of an MP4 file, up to an invalid one."""
    boxes: list[tuple[bytes, int]] = []
    with path.open("rb") as file:
        end, place = file.seek(0, 2), 0
        while place + 8 <= end:
            file.seek(place)
            size, name = int.from_bytes(file.read(4), "big"), file.read(4)
            if size == 1:
                size = int.from_bytes(file.read(8), "big")
            place = place + size if size else end  # 0: up to the end of the file
            boxes.append((name, place))
            if 0 < size < 8:
                break
    return boxes
