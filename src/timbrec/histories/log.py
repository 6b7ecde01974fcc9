"""The listening log from a matched history, and the table of its matches."""

from __future__ import annotations

import polars as pl

from timbrec.histories.matching import Matched

COLUMNS = {"user": "user_id", "track": "track_id", "time": "timestamp", "plays": "plays"}  # as configs expect them


def log_table(matched: Matched) -> tuple[pl.DataFrame, int]:
    """The plays as a log (user_id, track_id, timestamp, plays), and the number of undated plays that were left out.

    Plays without a time are left out if others have one, since a split by time cannot place them. If none has one, the
    log has no timestamps.
    """
    pairs = matched.pairs.rename(COLUMNS)
    dated = pairs.drop_nulls("timestamp")
    if dated.is_empty():
        return pairs.drop("timestamp"), 0
    return dated, int(pairs.filter(pl.col("timestamp").is_null())["plays"].sum())


def matches_table(matched: Matched) -> pl.DataFrame:
    """The table `how` of a match with its candidates as text, separated by " | "."""
    return matched.how.with_columns(pl.col("candidates").list.join(" | "), pl.col("score").round(1))
