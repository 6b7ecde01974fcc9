"""Supported containers by file suffix, and recognition of other files by their first bytes."""

from __future__ import annotations

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
    (b"mthd", "MIDI, which holds notes and no sound"),
    (b".rmf", "RealMedia"),
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
    return "text" if all(byte in b"\t\n\r" or 32 <= byte < 127 for byte in head) else ""
