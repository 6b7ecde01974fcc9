"""YouTube Music: the watch history of Google Takeout."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import polars as pl

from timbrec.importers.shared.base import Importer, Plays, plays_table
from timbrec.importers.shared.files import HistoryFile
from timbrec.importers.shared.json_text import Fields, read_records

_MUSIC = "YouTube Music"
_CHANNELS = pl.List(pl.Struct({"name": pl.String}))
_FIELDS: Fields = dict.fromkeys(("header", "title", "titleUrl", "time")) | {"subtitles": _CHANNELS}
_SEARCH = r"[?&/]search(_query=|\?)"
_WORDS = ("Watched ", "Listened to ")  # before the title; other languages have others, also after it
_SHARED = 0.9  # of the titles start or end with a word that is the language's, not the title's


@dataclass(frozen=True)
class YouTubeMusic(Importer):
    """Plays of `watch-history.json` with the header "YouTube Music"; other rows are videos, dropped and counted.

    "Watched" before the title, or the words of another language around it (those that nearly all other titles share),
    are cut off. The artist is the channel without " - Topic". Removed videos have no title and are dropped.
    """

    name: ClassVar[str] = "YouTube Music"
    export: ClassVar[str] = "takeout.google.com, YouTube, history, as JSON (not HTML): a zip"

    @classmethod
    def claims(cls, file: HistoryFile) -> bool:
        """Lists of objects with `header`, `title` and `time` of YouTube."""
        names = {"header", "title", "time"} <= file.record.keys()
        return names and b"youtube.com/watch" in file.head

    def read(self, files: Sequence[HistoryFile]) -> Plays:
        """One row per play."""
        every = read_records(files, _FIELDS)
        rows = every.filter(~pl.col("titleUrl").str.contains(_SEARCH).fill_null(False))
        music = rows.filter(header=_MUSIC)
        named = music.filter(pl.col("subtitles").is_not_null() & pl.col("titleUrl").is_not_null())
        artist = pl.col("subtitles").list.first().struct.field("name").str.strip_suffix(" - Topic")
        text = pl.col("time").str.replace("T", " ").str.strip_suffix("Z")
        plays = named.select(
            title=_bare(named["title"]), artist=artist, source_id="titleUrl",
            time=text.str.to_datetime("%Y-%m-%d %H:%M:%S%.f", time_unit="us", strict=False),
        )  # fmt: skip
        dropped = {"searches": len(every) - len(rows), "videos outside YouTube Music": len(rows) - len(music),
                   "removed or without a channel": len(music) - len(named)}  # fmt: skip
        return Plays(plays_table(plays), dropped)


def _bare(titles: pl.Series) -> pl.Series:
    """The titles without the words of the language around them."""
    english = titles.str.contains(rf"^(?:{'|'.join(_WORDS)})")
    bare = titles.str.replace(rf"^(?:{'|'.join(_WORDS)})", "")
    others = titles.filter(~english)
    for pattern in (r"^(\S+ )", r"( \S+)$"):
        while word := _shared(others, pattern):
            others = others.str.strip_prefix(word) if word.endswith(" ") else others.str.strip_suffix(word)
    return bare.scatter((~english).arg_true(), others) if len(others) else bare


def _shared(titles: pl.Series, pattern: str) -> str:
    """The first or last word that nearly all of at least three different titles have; empty if there is none."""
    different = titles.unique()
    words = different.str.extract(pattern).drop_nulls()
    word, count = Counter(words).most_common(1)[0] if len(words) else ("", 0)
    return word if len(different) >= 3 and count >= _SHARED * len(different) else ""
