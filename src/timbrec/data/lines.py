"""Blocks of delimited text: counts rows, and decides whether quotes enclose values or are text."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from timbrec.errors import DataError
from timbrec.types import Array, Bool

STAND_IN = "\x1f"  # replaces a separator of several characters
_LINE, _QUOTE = ord("\n"), ord('"')


class IrregularError(Exception):
    """A line that is not a row: its place in the block, and its number of values (0 if a quote is wrong)."""

    def __init__(self, line: int, values: int) -> None:
        self.line, self.values = line, values


class Block:
    """A block of whole lines.

    After `check`, `text` has no empty lines, `quoted` says whether quotes enclose values, `rows` is the number of rows,
    `joined` the number of lines inside a quoted value that began before them, and `stray` the number of lines with
    quotes that are text.
    """

    def __init__(self, text: bytes, separator: str, width: int, quotes: bool, lenient: bool) -> None:
        self.text, self._width, self._given = text, width, separator
        self._separator = separator if len(separator) < 2 else STAND_IN
        self._marked = text if len(separator) < 2 else text.replace(separator.encode(), STAND_IN.encode())
        self.quoted = quotes and b'"' in text
        self._may_quote = b'"' in text and (quotes or lenient)
        self.rows = self.joined = self.stray = 0

    def check(self, ragged: bool) -> None:
        """Count rows and choose the meaning of quotes. Raises IrregularError for the first line that is no row."""
        characters = np.frombuffer(self._marked, np.uint8)
        if ragged:
            self.rows = int((characters == _LINE).sum())
            return
        inside, strict = self._quotes(characters)
        if self._width > 1 and (self._marked.startswith(b"\n") or b"\n\n" in self._marked):
            characters = self._without_empty_lines(characters, inside if strict < 0 else None)
            inside, strict = self._quotes(characters)
        if inside is None:
            self._plain(characters)
            return
        breaks = characters == _LINE
        self.joined = int((breaks & inside).sum())
        each_line_a_row = _in_rows(self._ends(characters, None), self._width)
        if strict < 0 and not (each_line_a_row and (self.joined or not self.quoted)):
            self._within_quotes(characters, inside)
            return
        self.joined, self.quoted = 0, False
        if not each_line_a_row:
            raise IrregularError(int(breaks[:strict].sum()), 0)
        self.stray = len(np.unique(np.searchsorted(np.flatnonzero(breaks), np.flatnonzero(characters == _QUOTE))))
        self._plain(characters)

    def repeated(self, header: bytes) -> int:
        """Remove lines that equal the header, as in files put together; return their number. Call it after `check`."""
        if header not in self.text:
            return 0
        text, line = b"\n" + self.text, b"\n" + header + b"\n"
        while line in text:  # neighbours share a line feed
            text = text.replace(line, b"\n")
        removed = self.text.count(b"\n") + 1 - text.count(b"\n")
        self.text, self.rows = text[1:], self.rows - removed
        return removed

    def _within_quotes(self, characters: Array, inside: Array) -> None:
        """Read quotes as in RFC 4180. Raises IrregularError for lines inside a value that could be rows."""
        self.quoted = True
        ends = self._ends(characters, inside)
        if not _in_rows(ends, self._width):
            raise _first_irregular(ends, self._width, characters, inside)
        if self.joined:
            self._refuse_swallowed(characters, inside)
        self.rows = int(ends.sum())

    def _refuse_swallowed(self, characters: Array, inside: Array) -> None:
        """Raise IrregularError if a quoted value spans whole rows, as it does when two stray quotes pair up."""
        counts = np.diff(np.flatnonzero(self._ends(characters, None)), prepend=-1)
        if len(counts) != int((characters == _LINE).sum()):
            return
        joins = inside[characters == _LINE]  # line i and the next are parts of one value
        full = counts >= self._width
        swallowed = np.flatnonzero(joins & full & np.append(full[1:], False))
        if self._width > 1 and len(swallowed):
            raise IrregularError(int(swallowed[0]), 0)

    def _plain(self, characters: Array) -> None:
        """Read every line as a row; quotes are text."""
        ends = self._ends(characters, None)
        if not _in_rows(ends, self._width):
            raise _first_irregular(ends, self._width, characters, None)
        self.rows = int(ends.sum())

    def _without_empty_lines(self, characters: Array, inside: Array | None) -> Array:
        """Remove empty lines, except inside quoted values."""
        breaks = characters == _LINE
        empty = breaks & np.concatenate([[True], breaks[:-1]])
        keep = ~empty if inside is None else ~empty | inside
        if self._marked is self.text:
            self.text = self._marked = characters[keep].tobytes()
        else:
            self._marked = characters[keep].tobytes()
            self.text = self._marked.replace(STAND_IN.encode(), self._given.encode())
        return np.frombuffer(self._marked, np.uint8)

    def _ends(self, characters: Array, inside: Array | None) -> Array:
        """For every separator and line end, in order, whether it is a line end."""
        marks = characters == _LINE
        if self._separator:
            marks |= characters == ord(self._separator)
        if inside is not None:
            marks &= ~inside
        return characters[marks] == _LINE

    def _quotes(self, characters: Array) -> tuple[Array | None, int]:
        """A mask of the characters inside quotes, None without quotes, and the place of the first stray quote, or -1.

        A quote is stray unless it opens or closes a value or is one of a pair.
        """
        if not self._may_quote:
            return None, -1
        inside = np.cumsum(characters == _QUOTE, dtype=np.uint8) & 1 == 1
        places = np.flatnonzero(characters == _QUOTE)
        limits = [_LINE, _QUOTE, *self._separator.encode()]
        opening = inside[places]
        before = np.isin(characters[np.maximum(places - 1, 0)], limits) | (places == 0)
        after = np.isin(characters[np.minimum(places + 1, len(characters) - 1)], limits)
        wrong = np.flatnonzero(np.where(opening, ~before, ~after))
        if len(wrong):
            return inside, int(places[wrong[0]])
        return inside, int(places[-1]) if len(places) % 2 else -1


def _in_rows(ends: Bool[Array, "n"], width: int) -> bool:
    """Whether separators and line ends form rows of `width`, each closed by a line end."""
    rows = len(ends) // width
    return len(ends) == rows * width and int(ends.sum()) == rows and bool(ends[width - 1 :: width].all())


def _first_irregular(ends: Array, width: int, characters: Array, inside: Array | None) -> IrregularError:
    counts = np.diff(np.flatnonzero(ends), prepend=-1)
    row = int(np.flatnonzero(counts != width)[0])
    if inside is None:
        return IrregularError(row, int(counts[row]))
    starts = np.flatnonzero((characters == _LINE) & ~inside)
    before = int(starts[row - 1]) + 1 if row else 0
    return IrregularError(int((characters[:before] == _LINE).sum()), int(counts[row]))


def whole_lines(file: Any, size: int, path: Path) -> Iterator[bytes]:
    """The file in blocks of whole lines; every kind of line end becomes a line feed."""
    rest, first, old_mac = b"", True, False
    while chunk := file.read(size):
        if first:
            if chunk[:2] in (b"\xff\xfe", b"\xfe\xff"):
                raise DataError(f"{path} is UTF-16 text", fix="Save it as UTF-8.")
            chunk, first = chunk.removeprefix(b"\xef\xbb\xbf"), False
            old_mac = b"\r" in chunk and b"\n" not in chunk
        chunk = rest + (chunk.replace(b"\r", b"\n") if old_mac else chunk)
        cut = chunk.rfind(b"\n") + 1
        text, rest = chunk[:cut], chunk[cut:]
        if text:
            yield text.replace(b"\r\n", b"\n")
    if rest:
        yield rest.removesuffix(b"\r") + b"\n"


def record_end(text: bytes) -> int:
    """The end of the last complete record: the place after the last line end outside quotes."""
    if b'"' not in text:
        return len(text)
    characters = np.frombuffer(text, np.uint8)
    outside = np.flatnonzero((characters == _LINE) & (np.cumsum(characters == _QUOTE, dtype=np.uint8) & 1 == 0))
    return int(outside[-1]) + 1 if len(outside) else 0
