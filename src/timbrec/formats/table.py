"""A table for a terminal."""

from __future__ import annotations

import io
import shutil
from typing import Any, ClassVar

import polars as pl


class Table:
    """Rank, title, artist, year and score, with the reasons below each track."""

    suffix: ClassVar[str] = ""

    def text(self, tracks: pl.DataFrame, title: str) -> str:
        """The table, as wide as the terminal; names are folded, never cut."""
        from rich.box import SIMPLE_HEAD
        from rich.console import Console
        from rich.table import Table as Grid

        grid = Grid(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
        grid.add_column("", justify="right", no_wrap=True)
        for column in ("title", "artist"):
            grid.add_column(column, overflow="fold", ratio=1 if column == "artist" else None)
        grid.add_column("year", justify="right", no_wrap=True)
        grid.add_column("score", justify="right", no_wrap=True)
        grid.add_column("", no_wrap=True)
        kinds = tracks["new"].n_unique()  # "new" says something where others are not
        for row in tracks.iter_rows(named=True):
            grid.add_row(*map(_plain, [*_cells(row), "new" if row["new"] and kinds > 1 else ""]))
        console = Console(file=io.StringIO(), width=shutil.get_terminal_size().columns, highlight=False)
        console.print(grid)
        written: str = console.file.getvalue()  # type: ignore[attr-defined] # a StringIO
        lines = [line.rstrip() for line in written.splitlines()]
        return "\n".join([title, *(line for line in lines if line)]) + "\n" + _reasons(tracks, console.width)


def _cells(row: dict[str, Any]) -> list[str]:
    title = row["title"] or ("" if row["artist"] else row["item"])
    year = "" if row["year"] is None else str(row["year"])
    return [str(row["rank"]), title, row["artist"] or "", year, f"{row['score']:.3f}"]


def _plain(text: str) -> Any:
    from rich.text import Text

    return Text(" ".join(text.split()))


def _reasons(tracks: pl.DataFrame, width: int) -> str:
    """A line per track with the titles of the played tracks that are most similar; empty without reasons."""
    import textwrap

    lines = []
    for row in tracks.iter_rows(named=True):
        if row["because"]:
            titles = [
                "“" + " ".join(name.rpartition(" - ")[0].split() or name.split()) + "”" for name in row["because"]
            ]
            text = f"{row['rank']:>3}  because of {', '.join(titles)}"
            lines += textwrap.wrap(text, width, subsequent_indent=" " * 5)
    return "\n" + "\n".join(lines) + "\n" if lines else ""
