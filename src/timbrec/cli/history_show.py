"""Output of `timbrec history`: the plays, the tracks, the matches, and the next step."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import polars as pl
from rich.console import Console
from rich.markup import escape

from timbrec.cli.show import narrow_table

if TYPE_CHECKING:
    from pathlib import Path

    from timbrec.histories import History, Matched

_SHOWN = 5
_out = Console(highlight=False)


def show_history(history: History) -> None:
    """Print the importer, and the number of plays that were read and dropped."""
    for label, value in history.facts:
        _out.print(f"{escape(label)}: {escape(value)}", soft_wrap=True)


def show_tracks(tracks: pl.DataFrame) -> None:
    """Print the number of tracks to match with, and of tracks with too few tags."""
    _out.print(f"tracks to match with: {len(tracks):,}")
    if "source" not in tracks.columns:
        return
    unreadable = tracks.filter(~pl.col("readable"))
    counts = {
        "files that cannot be read": unreadable,
        'files without tags, named "Artist - Title"': tracks.filter(pl.col("source") == "file name"),
        "files without tags or such a name": tracks.filter((pl.col("source") == "none") & pl.col("readable")),
    }
    for label, rows in counts.items():
        if len(rows):
            _out.print(f"{label}: {len(rows):,}, e.g. {escape(rows['path'][0])}", soft_wrap=True)


def show_matches(matched: Matched) -> None:
    """Print the recordings and plays matched by each method, and the most played recordings without a match."""
    table = narrow_table("matches", "method")
    for column in ("recordings", "plays", "share of plays"):
        table.add_column(column, justify="right")
    for method, recordings, plays, share in matched.summary.iter_rows():
        table.add_row(method, f"{recordings:,}", f"{plays:,}", f"{share:.1%}")
    _out.print(table)
    for method, what in (("ambiguous", "several tracks"), ("unmatched", "nearest track")):
        rows = matched.how.filter(method=method)
        for row in rows.head(_SHOWN).iter_rows(named=True):
            name = " – ".join(row[key] for key in ("artist", "title") if row[key]) or row["path"] or row["mbid"] or "?"
            candidates = ", ".join(row["candidates"] or []) or "none"
            plays = _counted(row["plays"], "play")
            _out.print(escape(f"{method}: {name} ({plays}; {what}: {candidates})"), soft_wrap=True)
        if len(rows) > _SHOWN:
            _out.print(f"{method}: {len(rows) - _SHOWN:,} more")
    nearly = matched.how.filter(method="unmatched", score=100)
    if len(nearly):
        plays = _counted(int(nearly["plays"].sum()), "unmatched play")
        _out.print(
            f"{plays} have the names of a track, and another master, length or list of artists; "
            "--remasters same accepts other masters",
            soft_wrap=True,
        )


def show_log(log: pl.DataFrame, undated: int, out: Path, matches: Path) -> None:
    """Print the written files, and how a config can use them."""
    if undated:
        _out.print(f"plays left out because they have no time, unlike others: {undated:,}")
    users, tracks = log["user_id"].n_unique(), log["track_id"].n_unique()
    plays = int(log["plays"].sum())
    counts = (_counted(plays, "play"), _counted(tracks, "track"), _counted(users, "user"))
    _out.print(escape("{}: {} of {} by {}".format(out, *counts)), soft_wrap=True)
    _out.print(escape(f"{matches}: how each recording was matched"), soft_wrap=True)
    _out.print(escape(f"in a config: interactions: {{path: {out}}}{_split(log)}"), soft_wrap=True)
    if users == 1:
        _out.print("one person's history can fit a recommender; a benchmark on it cannot prove a difference")


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _split(log: pl.DataFrame) -> str:
    """A split that tests the last month."""
    if "timestamp" not in log.columns:
        return ", split: {protocol: item-holdout}"
    last, first = log["timestamp"].max(), log["timestamp"].min()
    if not isinstance(last, datetime) or not isinstance(first, datetime):
        return ""
    test_at = max(last - timedelta(days=30), first + (last - first) / 2)
    return f", split: {{test_at: {test_at:%Y-%m-%d}}}; plays from {first:%Y-%m-%d} to {last:%Y-%m-%d}"
