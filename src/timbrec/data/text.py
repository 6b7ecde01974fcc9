"""Reader of delimited text, in blocks: detects separator and quotes, and accounts for every line."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from timbrec.data.compression import opened, plain_name
from timbrec.data.lines import STAND_IN, Block, IrregularError, record_end, whole_lines
from timbrec.errors import DataError

SUFFIXES = {".csv": ",", ".psv": "|", ".ssv": ";"}  # usual separators; the next line adds tabs
SUFFIXES |= dict.fromkeys((".tsv", ".tab", ".txt", ".dat", ".data", ".inter", ".item", ".user"), "\t")
_RECBOLE = (".inter", ".item", ".user")  # names in the header include a type: user_id:token
_SEPARATORS = (",", "\t", ";", "|", "::")
_NAMED = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "pipe": "|", "none": ""}
_BLOCK = 32 << 20  # bytes of text parsed at once
_OTHER_KINDS = [  # first bytes in lower case, kind, advice
    (b"<!doctype html", "an HTML page", "Download the file itself; a page of the web site was saved instead."),
    (b"<html", "an HTML page", "Download the file itself; a page of the web site was saved instead."),
    (b"<?xml", "an XML document", "Save it as CSV (UTF-8)."),
    (b"\xd0\xcf\x11\xe0", "an Office document", "Save it as CSV (UTF-8)."),
    (b"par1", "a Parquet file", "Give its name the suffix .parquet."),
    (b"sqlite format 3", "an SQLite database", "Export the table as CSV."),
    (b"\x93numpy", "an array of numpy", "Give its name the suffix .npy."),
]


@dataclass(frozen=True)
class TextForm:
    """Format of a text table.

    `separator` is a string of one or more characters, "none" for one column of whole lines, or None to detect it.
    Without a `header`, columns are numbered from 0. `quotes` says whether double quotes may enclose values (None: yes,
    except in tab-separated tables with a header without quotes). Unless `ragged`, lines with fewer values than the
    first line are refused.
    """

    separator: str | None = None
    header: bool = True
    quotes: bool | None = None
    ragged: bool = False


class TextTable:
    """A delimited text file. Opening it reads its first lines; `names` are its columns, `facts` describe its format.

    Every line is accounted for: it has as many values as the header, or DataError states its number. Quoted values
    follow RFC 4180. If quotes violate it and every line has the right number of separators, each line is a row and
    quotes are text.
    """

    def __init__(self, path: Path, form: TextForm) -> None:
        self.path, self._form = path, form
        suffix = Path(plain_name(path)).suffix.lower()
        self._head = self._first_lines()
        usual = SUFFIXES.get(suffix, ",")
        self._separator = _found_separator(self._head, usual) if form.separator is None else _separator(form.separator)
        first = self._head[0].decode("utf-8", "replace")
        self._refuse_preamble()
        quoted = form.quotes if form.quotes is not None else self._separator not in ("", "\t") or '"' in first
        self._quotes = bool(quoted)
        fields = _fields(first, self._separator, self._quotes)
        self.names = [str(number) for number in range(len(fields))] if not form.header else fields
        if suffix in _RECBOLE:
            self.names = [re.sub(r":(token|float)(_seq)?$", "", name) for name in self.names]
        self.facts: list[tuple[str, str]] = []
        if form.separator is None and self._separator != usual and len(self.names) > 1:
            self.facts.append((f"separator of {path.name}", f"{self._separator!r}, found in its first lines"))

    @property
    def looks_headless(self) -> bool:
        """Whether the header contains numbers or dates other than a plain count of columns."""
        numbers = [name for name in self.names if re.fullmatch(r"-?\d[\d.:T /-]*Z?", name.strip())]
        counted = [{str(n) for n in range(start, start + len(numbers))} for start in (0, 1)]
        return self._form.header and bool(numbers) and set(numbers) not in counted

    def blocks(self, columns: Sequence[str], numeric: Sequence[str] = ()) -> Iterator[pl.DataFrame]:
        """The columns in blocks, as strings (empty values are null), or as float32 if listed in `numeric`.

        Raises DataError for a line with too many or too few values, for bytes that are not UTF-8, and for values of
        `numeric` columns that are no numbers.
        """
        line, joined, stray, repeated = 1, 0, 0, 0
        for text in self._texts():
            self._refuse_zero_bytes(text, line)
            block = Block(text, self._separator, len(self.names), self._quotes, self._form.quotes is None)
            try:
                block.check(self._form.ragged)
            except IrregularError as error:
                raise self._irregular(error, line, text) from None
            repeated += block.repeated(self._head[0]) if self._form.header and len(self.names) > 1 else 0
            yield self._parsed(block, columns, numeric, line)
            line, joined, stray = line + text.count(b"\n"), joined + block.joined, stray + block.stray
        if repeated:
            self.facts.append((f"lines of {self.path.name} that repeat its header, left out", f"{repeated:,}"))
        if joined:
            self.facts.append((f"lines of {self.path.name} inside quoted values", f"{joined:,}"))
        if stray:
            self.facts.append((f"lines of {self.path.name} with quotes that are read as text", f"{stray:,}"))

    def _first_lines(self) -> list[bytes]:
        with opened(self.path) as file:
            lines = next(whole_lines(file, 1 << 20, self.path), b"").split(b"\n")[:100]
        if not any(lines):
            raise DataError(f"{self.path} has no rows", fix="Give a table with a header and rows.")
        for start, kind, fix in _OTHER_KINDS:
            if lines[0].lstrip().lower().startswith(start):
                raise DataError(f"{self.path} is {kind}, not a text table", fix=fix)
        if b"\x00" in lines[0]:
            raise DataError(
                f"{self.path} has zero bytes, as UTF-16 text and binary files do", fix="Save it as UTF-8 text."
            )
        if len(lines) > 1:
            del lines[-1]  # empty after the last line feed, or a line that may be cut
        return lines

    def _refuse_preamble(self) -> None:
        """Raise DataError for lines above the header, and for a header that lacks the name of the last column."""
        if not self._form.header:
            return
        lines = [line for line in self._head if line]
        counts = [line.count(self._separator.encode()) for line in _bare(lines)] if self._separator else []
        start = lines[0][:60].decode("utf-8", "replace")
        same = len(counts) > 2 and len(set(counts[1:])) == 1
        if same and counts[0] + 1 == counts[1] and all(line.endswith(self._separator.encode()) for line in lines[1:]):
            raise DataError(f"lines of {self.path} end with a separator, its header does not", example=start,
                            fix="Remove it from the lines, or add it to the header.")  # fmt: skip
        comment = start.startswith("#") and len(set(counts)) > 1
        if (same and counts[0] < counts[1]) or comment or start.lower().startswith("sep="):  # for spreadsheets
            raise DataError(f"the first line of {self.path} is no header, unlike the lines below it", example=start,
                            fix="Remove the lines above the header.")  # fmt: skip

    def _texts(self) -> Iterator[bytes]:
        """Blocks of whole records, without the header."""
        rest, skip = b"", self._form.header
        with opened(self.path) as file:
            for text in whole_lines(file, _BLOCK, self.path):
                if skip:
                    text, skip = text.partition(b"\n")[2], False
                text = rest + text
                cut = record_end(text) if self._quotes and len(rest) < 2 * _BLOCK else len(text)
                text, rest = text[:cut], text[cut:]
                if text:
                    yield text
        if rest:
            yield rest

    def _refuse_zero_bytes(self, text: bytes, line: int) -> None:
        """Raise DataError for zero bytes, which fill the holes of files that were not written to the end."""
        if (place := text.find(b"\x00")) >= 0:
            number = line + self._form.header + text.count(b"\n", 0, place)
            raise DataError(f"{self.path}: line {number:,} has zero bytes, as a file has that was not written in full",
                            fix="Get or write the file again.")  # fmt: skip

    def _parsed(self, block: Block, columns: Sequence[str], numeric: Sequence[str], line: int) -> pl.DataFrame:
        places = [self.names.index(name) for name in columns]
        direct = {str(self.names.index(name)) for name in numeric} if block.quoted or b'"' not in block.text else set()
        schema = {str(n): pl.Float32 if str(n) in direct else pl.String for n in range(len(self.names))}
        text, separator = block.text, self._separator or "\x00"
        if len(separator) > 1:
            text, separator = text.replace(separator.encode(), STAND_IN.encode()), STAND_IN
        quote = '"' if block.quoted else None
        scan = pl.scan_csv(text, has_header=False, separator=separator, quote_char=quote, schema=schema)
        try:
            table = scan.select(pl.col(str(n)).alias(name) for n, name in zip(places, columns, strict=True)).collect()
        except pl.exceptions.PolarsError as error:
            raise self._unreadable(error, text, separator, quote, numeric, line) from error
        if len(table) != block.rows:  # polars must agree with our own count
            raise DataError(f"{self.path}: {block.rows:,} rows were counted and {len(table):,} read",
                            fix="Set `quotes: false`, or mend the quotes in it.")  # fmt: skip
        if b'"' not in block.text:
            return table
        if not block.quoted and self._quotes:
            table = table.with_columns(_unquoted(name) for name in columns)
        texts = [name for name in columns if table[name].dtype == pl.String]
        table = table.with_columns(pl.when(pl.col(name) != "").then(name).alias(name) for name in texts)
        return table if block.quoted else _as_numbers(table, numeric, self.path, line)

    def _unreadable(self, error: Exception, text: bytes, separator: str, quote: str | None,
                    numeric: Sequence[str], line: int) -> DataError:  # fmt: skip
        """The error for a block that polars refuses: bytes that are not UTF-8, or values that are no numbers."""
        try:
            text.decode("utf-8")
        except UnicodeDecodeError as wrong:
            number = line + self._form.header + text.count(b"\n", 0, wrong.start)
            return DataError(f"{self.path}: line {number:,} is not UTF-8", fix="Save the file as UTF-8.")
        names = {str(self.names.index(name)): name for name in numeric}
        schema = {str(place): pl.String for place in range(len(self.names))}
        texts = pl.scan_csv(text, has_header=False, separator=separator, quote_char=quote, schema=schema)
        try:
            _as_numbers(texts.select(list(names)).rename(names).collect(), numeric, self.path, line)
        except DataError as wrong:
            return wrong
        return DataError(f"{self.path} cannot be read: {str(error).partition(chr(10))[0]}", fix="Check its content.")

    def _irregular(self, error: IrregularError, line: int, text: bytes) -> DataError:
        lines = text.split(b"\n")
        full = [place for place, content in enumerate(lines) if content or len(self.names) == 1]
        number = line + self._form.header + full[error.line]
        shown = lines[full[error.line]][:200].decode("utf-8", "replace")
        if error.values:
            first = "header" if self._form.header else "first line"
            what = f"line {number:,} has {error.values} values, the {first} has {len(self.names)}"
            fix = "Correct the line, or set `separator` and `quotes` as in the file."
        else:
            what = f"a quote in line {number:,} opens or closes a value in the middle of it"
            fix = 'Write quotes inside quoted values twice (""), or set `quotes: false`.'
        return DataError(f"{self.path}: {what}", example=shown, fix=fix)


def _separator(name: str) -> str:
    return _NAMED.get(name.lower(), name)


def _found_separator(lines: Sequence[bytes], usual: str) -> str:
    """The usual separator if it gives lines of equal length, else the separator that does so best."""
    bare = _bare([line for line in lines if line])
    scores = {}
    for separator in _SEPARATORS:
        counts = [line.count(separator.encode()) for line in bare]
        scores[separator] = (sum(count == counts[0] for count in counts) / len(counts) if counts[0] else 0.0, counts[0])
    if scores[usual][0] >= 0.9:
        return usual
    best = max(scores, key=lambda separator: (round(scores[separator][0], 1), separator == usual, scores[separator][1]))
    return best if scores[best][0] else usual


def _bare(lines: Sequence[bytes]) -> list[bytes]:
    """The lines without the values in quotes."""
    return [re.sub(rb'"(?:[^"]|"")*"', b"", line) if line.count(b'"') % 2 == 0 else line for line in lines]


def _fields(line: str, separator: str, quotes: bool) -> list[str]:
    """The values of the first line."""
    if not separator:
        return [line]
    if quotes and '"' in line:
        return next(csv.reader([line.replace(separator, STAND_IN)], delimiter=STAND_IN))
    return line.split(separator)


def _unquoted(name: str) -> pl.Expr:
    """The column without the quotes that enclose values, for a block in which quotes were read as text."""
    text = pl.col(name)
    enclosed = text.str.starts_with('"') & text.str.ends_with('"') & (text.str.len_bytes() > 1)
    inner = text.str.slice(1, text.str.len_chars() - 2).str.replace_all('""', '"', literal=True)
    return pl.when(enclosed).then(inner).otherwise(text).alias(name)


def _as_numbers(table: pl.DataFrame, columns: Sequence[str], path: Path, line: int) -> pl.DataFrame:
    """Text columns as float32. Raises DataError with the row of the first value that is no number."""
    for name in columns:
        numbers = table[name].str.strip_chars().cast(pl.Float32, strict=False)
        if (wrong := numbers.is_null() & table[name].is_not_null() & (table[name] != "")).any():
            row = int(wrong.arg_max() or 0)
            raise DataError(f"{path}: column {name!r} holds values that are no numbers", count=int(wrong.sum()),
                            example=table[name][row], fix=f"The first is in row {line + row:,}.")  # fmt: skip
        table = table.with_columns(numbers.alias(name))
    return table
