"""Counts, for the data card, of tracks without an artist and of test pairs that the config leaves out."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from timbrec.data.events import Events
from timbrec.data.split import Split
from timbrec.data.splitting import Window, window_of
from timbrec.study.config import Config


def left_out(
    events: Events, split: Split, whole: Split | None, config: Config, artists: pl.Series | None
) -> Iterator[tuple[str, str]]:
    """Rows of the data card: the numbers of tracks without an artist, and of cold test pairs that are left out.

    `whole` is the split before cold pairs were removed as leaks, None where nothing was removed.
    """
    if artists is not None:
        yield "tracks of the catalogue without an artist", f"{artists.null_count():,}"
    window, complete = window_of(config.split), whole or split
    if config.split.by_artist and window is not None:
        left_out = _new_pairs(events, complete, window) - len(complete.test.cold)
        yield "cold test pairs left out, of new tracks by artists in train", f"{left_out:,}"
    if whole is not None:
        removed = len(whole.test.cold) - len(split.test.cold)
        yield "cold test pairs left out, of tracks with an album or a near copy in train", f"{removed:,}"


def _new_pairs(events: Events, split: Split, window: Window) -> int:
    """The number of pairs in the test period of users in train with tracks that nobody played in train."""
    in_train = pl.Series(split.test.train.item_users > 0)
    known_user = pl.Series(split.users.rows(events.users.ids) >= 0)
    rows = events.table.filter(
        (pl.col("time") >= window.test_at) & (pl.col("time") < window.end),
        ~in_train.gather(events.table["item"]),
        known_user.gather(events.table["user"]),
    )
    return rows.select("user", "item").n_unique()
