"""Open tables: text files, files that polars scans, frames in memory, and several files as one table."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl

from timbrec.data.faults import readable
from timbrec.data.text import TextForm, TextTable
from timbrec.errors import DataError, did_you_mean, listing

_ROWS = 1 << 20  # of a Parquet or Arrow file, read at once


class Table(ABC):
    """An open table: `names` are its columns, `facts` (label, value) describe how the file was interpreted."""

    path: Path
    names: list[str]
    partial: tuple[str, ...] = ()  # columns that only some of several files have

    def __init__(self, path: Path, names: Sequence[str], facts: Sequence[tuple[str, str]] = ()) -> None:
        self.path, self.names, self.facts = path, list(names), list(facts)

    @abstractmethod
    def _blocks(self, columns: Sequence[str], numeric: Sequence[str]) -> Iterator[pl.DataFrame]: ...

    def blocks(self, columns: Sequence[str], numeric: Sequence[str] = ()) -> Iterator[pl.DataFrame]:
        """The rows of these columns, in blocks.

        Columns of text tables are strings (empty values are null), or float32 if listed in `numeric`; columns of other
        tables keep their types. Raises DataError for a missing column, for two columns of one name, and for invalid
        content.
        """
        self.check(columns)
        with readable(self.path):
            yield from self._blocks(columns, numeric)

    def read(self, columns: Sequence[str]) -> pl.DataFrame:
        """All rows of these columns. Text columns of plain whole numbers ("7", not "007") become Int64."""
        blocks = [block.with_columns(map(as_numbers, block)) for block in self.blocks(columns)]
        if not blocks:
            return pl.DataFrame(schema=dict.fromkeys(columns, pl.String))
        return stacked(blocks, self.path)

    def head(self, rows: int) -> pl.DataFrame:
        """The first rows of all columns, as `read` returns them."""
        table = next(self.blocks(self.names), pl.DataFrame()).head(rows)
        return table.with_columns(map(as_numbers, table))

    def check(self, columns: Sequence[str]) -> None:
        """Raises DataError for missing columns and for names that several columns share."""
        if missing := [name for name in columns if name not in self.names]:
            hint = did_you_mean(missing[0], self.names)
            advice = self._headless or "Map the names under `columns`."
            raise DataError(
                f"{self.path} has no column {missing[0]!r}",
                count=len(missing) if len(missing) > 1 else None,
                fix=f"{hint}It has: {listing(_shown(self.names)) or 'none'}. {advice}",
            )
        counts = Counter(self.names)
        if repeated := [name for name in columns if counts[name] > 1]:
            raise DataError(
                f"{self.path} has {counts[repeated[0]]} columns called {repeated[0]!r}", fix="Rename all but one."
            )

    @property
    def _headless(self) -> str:
        """Advice if the first line seems to be a row; else empty."""
        return ""


class TextFile(Table):
    """A file of delimited text. Raises DataError if its first line is clearly a row and no header."""

    def __init__(self, path: Path, form: TextForm) -> None:
        self._table = TextTable(path, form)
        super().__init__(path, self._table.names)
        self.facts = self._table.facts
        if self._headless and all(name[:1].isdigit() for name in self.names):
            raise DataError(f"the first line of {path} looks like a row, not like a header", example=self.names[:5],
                            fix="Set `header: false`; columns are then called by number from 0.")  # fmt: skip

    def _blocks(self, columns: Sequence[str], numeric: Sequence[str]) -> Iterator[pl.DataFrame]:
        yield from self._table.blocks(columns, numeric)

    @property
    def _headless(self) -> str:
        advice = "If its first line is a row, set `header: false` and call columns by number from 0."
        return advice if self._table.looks_headless else ""


class ScannedFile(Table):
    """A Parquet or Arrow file that polars reads column by column."""

    def __init__(self, path: Path, scan: pl.LazyFrame) -> None:
        super().__init__(path, scan.collect_schema().names())
        self._scan = scan

    def head(self, rows: int) -> pl.DataFrame:
        """The first rows of all columns; no others are read."""
        with readable(self.path):
            table = self._scan.head(rows).collect()
        return table.with_columns(map(as_numbers, table))

    def _blocks(self, columns: Sequence[str], numeric: Sequence[str]) -> Iterator[pl.DataFrame]:
        chosen, empty = self._scan.select(columns), True
        for block in chosen.collect_batches(chunk_size=_ROWS, maintain_order=True):
            yield block
            empty = False
        if empty:
            yield chosen.collect()


class FrameTable(Table):
    """A table in memory."""

    def __init__(self, frame: pl.DataFrame, path: Path) -> None:
        super().__init__(path, frame.columns)
        self._frame = frame

    def _blocks(self, columns: Sequence[str], numeric: Sequence[str]) -> Iterator[pl.DataFrame]:
        yield self._frame.select(columns)


class SeveralFiles(Table):
    """Several tables with the same columns, concatenated; folders called `key=value` add columns."""

    def __init__(self, path: Path, tables: Sequence[Table], keys: Sequence[dict[str, str | None]]) -> None:
        names = [name for name in tables[0].names if all(name in table.names for table in tables)]
        hive = [key for key in keys[0] if key not in names]
        everywhere = {*names}
        self.partial = tuple({name: None for table in tables for name in table.names if name not in everywhere})
        facts = [("files read", f"{len(tables):,}")]
        if self.partial:
            facts.append(("columns that only some files have, not read", listing(_shown(self.partial))))
        super().__init__(path, [*names, *hive], [*facts, *(fact for table in tables for fact in table.facts)])
        self._tables, self._keys, self._hive = tables, keys, hive

    def check(self, columns: Sequence[str]) -> None:
        """Raises DataError, with the name of the file, for a column that only some files have."""
        for table in self._tables:
            table.check([name for name in columns if name in self._tables[0].names or name in self.partial])
        super().check(columns)

    def _blocks(self, columns: Sequence[str], numeric: Sequence[str]) -> Iterator[pl.DataFrame]:
        for table, keys in zip(self._tables, self._keys, strict=True):
            own = [name for name in columns if name not in self._hive] or table.names[:1]  # no column has no rows
            parts = [pl.lit(keys.get(name), pl.String).alias(name) for name in self._hive if name in columns]
            for block in table.blocks(own, [name for name in numeric if name in own]):
                yield block.with_columns(parts).select(columns)


def stacked(blocks: Sequence[pl.DataFrame], path: Path) -> pl.DataFrame:
    """Blocks of rows in one table, in which a column of text in some blocks is text in all.

    Raises DataError, with the file's name, for a column of types that do not go together.
    """
    kinds = {name: [block[name].dtype for block in blocks] for name in blocks[0].columns}
    mixed = [name for name, types in kinds.items() if len(set(types)) > 1]
    texts = [name for name in mixed if pl.String in kinds[name]]
    blocks = [block.with_columns(pl.col(texts).cast(pl.String)) for block in blocks] if texts else blocks
    try:
        return pl.concat(blocks, how="vertical_relaxed")
    except pl.exceptions.PolarsError as error:
        raise DataError(f"{path}: column {mixed[0]!r} has other types in other files",
                        example=list(map(str, kinds[mixed[0]][:3])),
                        fix="Store it in one type.") from error  # fmt: skip


def as_numbers(column: pl.Series) -> pl.Series:
    """A text column as Int64 if every value is a plain whole number; other columns unchanged.

    Numeric ids thus sort by value for every kind of file.
    """
    if column.dtype in (pl.Categorical, pl.Enum):
        column = column.cast(pl.String)
    if column.dtype != pl.String:
        return column
    sample = column.head(100)
    if not sample.cast(pl.Int64, strict=False).cast(pl.String).eq_missing(sample).all():
        return column
    numbers = column.cast(pl.Int64, strict=False)
    return numbers if numbers.cast(pl.String).eq_missing(column).all() else column


def _shown(names: Sequence[str]) -> list[str]:
    return [name if name == name.strip() and name else repr(name) for name in names]
