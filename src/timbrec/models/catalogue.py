"""The catalogue of a model: the metadata of each track, and the tracks that are the same recording."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from timbrec.data.names import plain, without_accents
from timbrec.errors import did_you_mean
from timbrec.types import Array, Int

CATALOGUE = {
    "track": pl.String, "artist": pl.String, "title": pl.String, "album": pl.String, "year": pl.Int32,
    "duration_s": pl.Float64, "path": pl.String, "mbid": pl.String, "isrc": pl.String, "acoustid": pl.String,
    "audio": pl.String,
}  # fmt: skip
# Columns of items tables by our name, in the order in which they are tried.
_COLUMNS = {
    "artist": ("artist", "artist_name", "artist_id"),
    "title": ("title", "track_name", "track_title", "song", "name"),
    "album": ("album", "album_name", "release", "release_name"),
    "year": ("year", "release_year", "released", "release_date", "date"),
    "duration_s": ("duration_s", "duration", "length", "duration_ms"),
    "path": ("path", "file", "location"),
    "mbid": ("mbid", "recording_mbid", "recording_id", "musicbrainz_trackid"),
    "isrc": ("isrc",),
    "acoustid": ("acoustid", "acoustid_id"),
    "audio": ("audio",),
}
_VERSION = r"\b(live|remaster(?:ed)?|remix|mix|acoustic|demo|edit|version|instrumental|karaoke|unplugged|session)\b"
_SAME_LENGTH = 2.0  # seconds within which two files are the same recording
_LONGEST = 20_000  # a duration above it is in milliseconds


def catalogue_of(ids: pl.Series, table: pl.DataFrame | None = None) -> pl.DataFrame:
    """The catalogue (columns of CATALOGUE) of these track ids, in their order; null for facts that `table` lacks.

    `table` has the track's id as `track`, and any columns of the usual names: "artist" or "artist_name", "title" or
    "track_name", and so on. A year is the first four digits of a date; durations
    are milliseconds if most are above 20,000.
    """
    rows = ids.cast(pl.String).alias("track").to_frame()
    if table is None:
        return rows.match_to_schema(CATALOGUE, missing_columns="insert")
    known = {name: _first(table, names) for name, names in _COLUMNS.items()}
    columns = [_cleaned(name, table[column]) for name, column in known.items() if column is not None]
    facts = pl.DataFrame([table["track"].cast(pl.String), *columns]).unique("track", keep="first", maintain_order=True)
    joined = rows.join(facts, on="track", how="left", maintain_order="left")
    return joined.match_to_schema(CATALOGUE, missing_columns="insert")


def labels(catalogue: pl.DataFrame) -> pl.Series:
    """The name of each track for people: "title - artist", or as much as is known of it, or its id."""
    title, artist = pl.col("title"), pl.col("artist")
    name = pl.when(title.is_not_null()).then(pl.concat_str(title, artist, separator=" - ", ignore_nulls=True))
    return catalogue.select(label=name.otherwise(pl.coalesce("artist", "track")))["label"]


def recordings(catalogue: pl.DataFrame) -> Int[Array, "tracks"]:
    """(tracks,) a number per recording: tracks of the same recording have the same number, that of the first of them.

    Tracks are the same recording when they have the same audio, MusicBrainz id or ISRC, or the same artist and title
    (without case, accents and punctuation) at a length within 2 seconds. A live recording, remaster, remix and other
    version, by the words of title and album, is another recording, also if its ids are equal. Without a length,
    equal names prove nothing.
    """
    rows = catalogue.select(
        "audio", "mbid", "isrc", "duration_s", artist=_plain("artist"), title=_plain("title"), version=_version()
    ).with_row_index("row")
    pairs = [_twins(rows, ["audio"])]
    pairs += [_twins(rows, [key, "version"]) for key in ("mbid", "isrc")]
    timed = rows.drop_nulls(["artist", "title", "duration_s"]).sort("artist", "title", "version", "duration_s")
    gap = pl.col("duration_s").diff().fill_null(0.0) > _SAME_LENGTH
    timed = timed.with_columns(length=gap.cast(pl.Int32).cum_sum().over("artist", "title", "version"))
    pairs.append(_twins(timed, ["artist", "title", "version", "length"]))
    table = pl.concat(pairs)
    return _components(table["row"].to_numpy(), table["first"].to_numpy(), len(catalogue))


def further_recordings(
    catalogue: pl.DataFrame, recording: Int[Array, "tracks"], added: pl.DataFrame
) -> Int[Array, "n"]:
    """The numbers of `recordings` for a catalogue with tracks `added` after it; known tracks keep their numbers."""
    known = pl.lit(False)
    for key in ("audio", "mbid", "isrc"):
        known = known | pl.col(key).is_in(added[key].drop_nulls().to_list()).fill_null(False)
    rows = np.union1d(catalogue.select(known.arg_true()).to_series().to_numpy(), _rows_of_titles(catalogue, added))
    group = recordings(pl.concat([catalogue[rows], added]))
    old, new = group[: len(rows)], group[len(rows) :]
    number_of = dict(zip(old.tolist(), recording[rows].tolist(), strict=True))
    fresh = int(recording.max(initial=-1)) + 1
    for label in new.tolist():
        if label not in number_of:
            number_of[label], fresh = fresh, fresh + 1
    return np.concatenate([recording, np.array([number_of[label] for label in new.tolist()], np.int64)])


def _rows_of_titles(catalogue: pl.DataFrame, added: pl.DataFrame) -> Int[Array, "n"]:
    """The rows with a title of `added`, if they are about as long as an added track: others are other recordings."""
    lengths = added["duration_s"].drop_nulls().sort().to_numpy()
    if not len(lengths):
        return np.empty(0, np.int64)
    mine = catalogue["duration_s"].to_numpy()  # NaN for null
    after = np.append(lengths, np.inf)[np.searchsorted(lengths, mine)]
    before = np.insert(lengths, 0, -np.inf)[np.searchsorted(lengths, mine)]
    rows = np.flatnonzero(np.minimum(after - mine, mine - before) <= 1.001 * _SAME_LENGTH)
    titles = added.select(_plain("title")).to_series().drop_nulls()
    return rows[catalogue[rows].select(_plain("title")).to_series().is_in(titles.implode()).fill_null(False).to_numpy()]


def _components(left: Int[Array, "pairs"], right: Int[Array, "pairs"], n: int) -> Int[Array, "n"]:
    """(n,) the smallest node that each node is connected with by pairs of nodes."""
    labels = np.arange(n)
    while True:
        low = np.minimum(labels[left], labels[right])
        smaller = labels.copy()
        np.minimum.at(smaller, left, low)
        np.minimum.at(smaller, right, low)
        if (smaller == labels).all():
            return labels
        labels = smaller


def nearest(name: str, catalogue: pl.DataFrame, *, artists: bool = False) -> str:
    """A hint with the nearest ids, titles or labels of the catalogue, or artists if asked for; empty if none is near.

    Names with all words of `name`, in any order and within other words, are nearer than names that are spelled alike.
    """
    columns = [catalogue["track"], catalogue["title"], labels(catalogue), *([catalogue["artist"]] if artists else [])]
    near = pl.concat([column.rename("name") for column in columns]).drop_nulls().unique(maintain_order=True)
    if containing := _with_words(name, near):
        return f"Did you mean {' or '.join(map(repr, containing))}? "
    same_start = near.filter(near.str.to_lowercase().str.starts_with(name.strip().casefold()[:1]))
    return did_you_mean(name, same_start[:20_000]) or did_you_mean(name, near[:20_000])


def _with_words(name: str, names: pl.Series, most: int = 3) -> list[str]:
    """The shortest names that contain all words of `name`, up to accents; none without a word of three letters."""
    table = pl.DataFrame({"name": pl.concat([pl.Series([name]), names])})
    table = table.with_columns(plain=_plain("name"))
    words = table["plain"][0].split()
    if max(map(len, words), default=0) < 3:
        return []
    containing = table[1:].filter(pl.all_horizontal(pl.col("plain").str.contains(word, literal=True) for word in words))
    return sorted(containing["name"], key=len)[:most]


def _first(table: pl.DataFrame, names: Sequence[str]) -> str | None:
    present = {column.casefold(): column for column in table.columns}
    return next((present[name] for name in names if name in present), None)


def _cleaned(name: str, column: pl.Series) -> pl.Series:
    """A column of an items table as our type; blanks and values of another kind are null."""
    column = column.alias(name)
    if name == "year":
        return column.cast(pl.String, strict=False).str.extract(r"(\d{4})").cast(pl.Int32)
    if name == "duration_s":
        seconds = column.cast(pl.Float64, strict=False)
        return seconds / 1000 if (seconds > _LONGEST).sum() > len(seconds.drop_nulls()) / 2 else seconds
    if not (column.dtype == pl.String or column.dtype.is_integer() or column.dtype in (pl.Categorical, pl.Enum)):
        return pl.Series(name, [None] * len(column), pl.String)
    text = column.cast(pl.String).str.strip_chars()
    return text.set(text == "", None)


def _plain(name: str) -> pl.Expr:
    """The name without case, accents and punctuation."""
    return without_accents(plain(pl.col(name)))


def _version() -> pl.Expr:
    """The words of title and album that name a version, sorted; empty for a plain recording."""
    text = pl.concat_str("title", "album", separator=" ", ignore_nulls=True).str.to_lowercase()
    return text.str.extract_all(_VERSION).list.unique().list.sort().list.join(" ").fill_null("")


def _twins(table: pl.DataFrame, keys: Sequence[str]) -> pl.DataFrame:
    """Pairs (row, first): each row with the first row that has the same keys; rows with a null key are left out."""
    rows = table.drop_nulls(list(keys))
    first = pl.col("row").first().over(keys) if len(rows) else pl.col("row")
    return rows.select(pl.col("row").cast(pl.Int64), first.cast(pl.Int64).alias("first"))
