"""Matching of a history's recordings to the tracks of a catalogue, by ids first and by names then."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import polars as pl

from timbrec.data.names import artist_key, lead_artist, plain, title_key, without_accents, without_remaster
from timbrec.errors import ConfigError, DataError
from timbrec.histories.fuzzy import similar_names
from timbrec.importers.shared.base import plays_table

THRESHOLD = 90.0  # the least similarity of names, 0 to 100
_TEXT = ("artist", "title", "album", "mbid", "isrc", "acoustid", "path")
_SECONDS = 15.0  # a larger difference in length means another recording
_TIED = 2.0  # similarities that differ less are equally good
_SHOWN = 5  # candidates that a row of `how` names
_CLOSE = 3.0  # with equal names, a smaller difference in length means the same recording
_METHODS = ("path", "mbid", "isrc", "acoustid", "names", "names without accents", "remaster", "first artist", "fuzzy")
_NO_VECTOR = "no vector"

HOW: dict[str, Any] = {
    "artist": pl.String, "title": pl.String, "album": pl.String, "mbid": pl.String, "isrc": pl.String,
    "acoustid": pl.String, "path": pl.String, "duration_s": pl.Float64, "plays": pl.Int64, "method": pl.String,
    "track": pl.String, "score": pl.Float64, "candidates": pl.List(pl.String),
}  # fmt: skip


@dataclass(frozen=True)
class Matched:
    """Plays of the catalogue's tracks, and how each recording of the history was matched.

    `pairs` has the columns user, track, time (Datetime, UTC, null where unknown) and plays. `how` has one row per
    distinct recording of the history, most played first: what the history says about it, its plays, `method`, `track`,
    `score` (100 for equal ids and names) and `candidates`. The method is "path", "mbid", "isrc", "acoustid",
    "names", "names without accents", "remaster", "first artist" or "fuzzy"; or "ambiguous": several tracks, the
    `candidates`, match equally well; or "unmatched": none does, and `candidates` holds the nearest track, if any is
    near. The last two have no track, nor has "no vector", which `among` gives.
    """

    pairs: pl.DataFrame
    how: pl.DataFrame

    @property
    def summary(self) -> pl.DataFrame:
        """Recordings, plays and the share of plays by method, in the order in which methods are tried."""
        order = pl.Enum([*_METHODS, "ambiguous", "unmatched", _NO_VECTOR])
        counts = self.how.group_by(pl.col("method").cast(order)).agg(pl.len().alias("recordings"), pl.sum("plays"))
        return counts.sort("method").with_columns(
            share=pl.col("plays") / pl.sum("plays"), method=pl.col("method").cast(pl.String)
        )

    def among(self, tracks: pl.Series) -> Matched:
        """The matches with these tracks; recordings of other tracks have the method "no vector" and lose theirs.

        Raises DataError where none is left.
        """
        known = pl.col("track").is_in(tracks.implode())
        pairs = self.pairs.filter(known)
        if pairs.is_empty():
            raise DataError("no track of the history has a vector", count=self.pairs["track"].n_unique(),
                            example=self.pairs["track"][0], fix="Repair these files.")  # fmt: skip
        lost = known.not_().fill_null(False)
        method = pl.when(lost).then(pl.lit(_NO_VECTOR)).otherwise("method")
        return Matched(pairs, self.how.with_columns(method=method, track=pl.when(~lost).then("track")))


def match(
    history: pl.DataFrame,
    catalogue: pl.DataFrame,
    threshold: float = THRESHOLD,
    *,
    ambiguous: Literal["leave", "first"] = "leave",
    remasters: Literal["apart", "same"] = "apart",
) -> Matched:
    """Match the recordings of a history to the tracks of a catalogue.

    `history` is a table of `read_history`, of which columns may be missing. `catalogue` has the column track (ids) and,
    as far as known, artist, album_artist, title, album, duration_s, mbid, isrc, acoustid and path. The first method in
    the order of `Matched` that gives a candidate decides. Of several candidates, an equal album decides, then an equal
    length; otherwise the recording is ambiguous and has no track, or the catalogue's first with `ambiguous="first"`. A
    remaster is another recording, unless `remasters="same"`. By names, recordings with known lengths that differ by
    more than 15 s are different. Fuzzy names are similar by at least `threshold` (0 to 100; 100 turns the method off).

    Raises DataError if nothing matches, with examples of both sides.
    """
    if not 0 < threshold <= 100:
        raise ConfigError("the threshold of similarity is above 0 and at most 100", example=threshold)
    if "track" not in catalogue.columns or catalogue.is_empty():
        raise DataError("the catalogue has no tracks", fix="Give a table with a column `track`, or a folder of music.")
    history = plays_table(history)
    recordings, of_row = _recordings(history)
    tracks = _prepared(_completed(catalogue)).with_row_index("row")
    matched = _matched(recordings, tracks, threshold, ambiguous, remasters == "same")
    how = _described(recordings, tracks, matched)
    if not how["track"].count():
        raise _nothing(recordings, tracks)
    play_track = of_row.join(matched, on="recording", how="left", maintain_order="left").join(
        tracks.select("row", "track"), on="row", how="left", maintain_order="left"
    )
    pairs = history.select("user", "time", "plays").with_columns(play_track["track"]).drop_nulls("track")
    return Matched(pairs.select("user", "track", "time", "plays"), how)


def _recordings(history: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The distinct recordings with their plays, most played first; and the recording of each row of the history."""
    keys = [*_TEXT, "seconds"]
    rows = history.with_columns(seconds=pl.col("duration_s").round()).select(*keys, "duration_s", "plays")
    counted = rows.group_by(keys, maintain_order=True).agg(pl.first("duration_s"), pl.sum("plays"))
    counted = counted.sort("plays", descending=True, maintain_order=True).with_row_index("recording")
    joined = rows.join(counted.select(*keys, "recording"), on=keys, how="left", maintain_order="left", nulls_equal=True)
    return _prepared(counted.drop("seconds").with_columns(album_artist=pl.lit(None, pl.String))), joined.select(
        "recording"
    )


def _completed(catalogue: pl.DataFrame) -> pl.DataFrame:
    """The catalogue with all columns that matching reads, as text; missing ones are null."""
    names = (*_TEXT, "album_artist", "duration_s")
    table = catalogue.with_columns(pl.lit(None).alias(name) for name in names if name not in catalogue.columns)
    table = table.select("track", *names).with_columns(pl.col("track", *_TEXT, "album_artist").cast(pl.String))
    return table.with_columns(
        pl.col(*_TEXT, "album_artist").str.strip_chars().replace("", None), pl.col("duration_s").cast(pl.Float64)
    )


def _prepared(table: pl.DataFrame) -> pl.DataFrame:
    """The table with comparable forms of ids (as lists) and names."""
    table = table.with_columns(
        mbids=_several(pl.col("mbid").str.to_lowercase()),
        isrcs=_several(pl.col("isrc").str.to_uppercase().str.replace_all("-", "")),
        acoustids=_several(pl.col("acoustid").str.to_lowercase()),
        artist_key=artist_key(pl.col("artist")),
        album_artist_key=artist_key(pl.col("album_artist")),
        lead_key=artist_key(lead_artist(pl.col("artist"))),
        title_key=title_key(pl.col("title")),
        album_key=plain(pl.col("album")),
        folders=_path_parts(pl.col("path")),
    )
    bare = [without_accents(pl.col(name)).alias(f"bare_{name}") for name in ("artist_key", "title_key")]
    return table.with_columns(*bare, core_key=without_remaster(pl.col("title_key")))


def _several(ids: pl.Expr) -> pl.Expr:
    return ids.str.extract_all(r"[^;,/\s]+")


def _path_parts(path: pl.Expr) -> pl.Expr:
    """The parts of a path, in lower case and Unicode form NFC."""
    text = path.str.replace(r"^file://(?:localhost)?", "").str.normalize("NFC").str.to_lowercase()
    return text.str.replace_all("\\", "/", literal=True).str.strip_chars("/").str.split("/")


def _matched(
    recordings: pl.DataFrame, tracks: pl.DataFrame, threshold: float, ambiguous: str, remasters: bool
) -> pl.DataFrame:
    """recording, row, score, method and rows (of all candidates) of each recording that has a candidate.

    Every step gives pairs (recording, row, score, sure); pairs that are not sure only serve as the nearest track.
    """
    steps: dict[str, Callable[[pl.DataFrame], pl.DataFrame]] = {
        "path": lambda left: _same_paths(left, tracks),
        "mbid": lambda left: _shared_ids(left, tracks, "mbids"),
        "isrc": lambda left: _shared_ids(left, tracks, "isrcs"),
        "acoustid": lambda left: _shared_ids(left, tracks, "acoustids"),
        "names": lambda left: _same_names(left, tracks),
        "names without accents": lambda left: _equal(left, tracks, ["bare_artist_key", "bare_title_key"]),
        "remaster": lambda left: _same_names(left, tracks, "core_key").with_columns(sure=pl.lit(remasters)),
        "first artist": lambda left: _same_first_artist(left, tracks),
        "fuzzy": lambda left: similar_names(left, tracks, threshold),
    }
    left, decided, doubtful = recordings, [], []
    for method, step in steps.items():
        pairs = _compared(step(left).unique(["recording", "row"], keep="first", maintain_order=True), left, tracks)
        if method not in ("path", "mbid", "isrc", "acoustid"):
            pairs = pairs.with_columns(pl.col("sure") & (pl.col("apart") <= _SECONDS).fill_null(True))
        doubtful.append(pairs.filter(~pl.col("sure")))
        decided.append(_decided(pairs.filter("sure"), method, ambiguous))
        left = left.join(decided[-1], on="recording", how="anti", maintain_order="left")
    near = pl.concat(doubtful).join(pl.concat(decided), on="recording", how="anti", maintain_order="left")
    return pl.concat([*decided, _nearest(near)])


def _compared(pairs: pl.DataFrame, recordings: pl.DataFrame, tracks: pl.DataFrame) -> pl.DataFrame:
    """The pairs with `same_album`, and `apart`, the difference of their lengths in seconds (null if unknown)."""
    columns = ["album_key", "duration_s"]
    pairs = pairs.join(recordings.select("recording", *columns), on="recording", how="left", maintain_order="left")
    pairs = pairs.join(tracks.select("row", *columns), on="row", how="left", maintain_order="left", suffix="_track")
    return pairs.select(
        "recording", "row", "score", "sure",
        same_album=(pl.col("album_key") == pl.col("album_key_track")).fill_null(False),
        apart=(pl.col("duration_s") - pl.col("duration_s_track")).abs(),
    )  # fmt: skip


def _decided(pairs: pl.DataFrame, method: str, ambiguous: str) -> pl.DataFrame:
    """The best pair of each recording; its row is null, and its method "ambiguous", where several are as good."""
    pairs = pairs.filter(pl.col("score") >= pl.max("score").over("recording") - _TIED)
    candidates = pairs.sort("recording", "row").group_by("recording", maintain_order=True).agg(rows="row")
    pairs = pairs.filter(pl.col("same_album") | ~pl.col("same_album").any().over("recording"))
    pairs = pairs.with_columns(close=(pl.col("apart") <= _CLOSE).fill_null(False))
    pairs = pairs.filter(pl.col("close") | ~pl.col("close").any().over("recording"))
    best = pairs.sort("recording", "row").group_by("recording", maintain_order=True)
    chosen = best.agg(pl.first("row"), pl.max("score"), pl.len().alias("left")).join(candidates, on="recording")
    unclear = (pl.col("left") > 1) & (ambiguous != "first")
    return chosen.select(
        "recording", pl.when(~unclear).then("row").alias("row"), "score",
        method=pl.when(unclear).then(pl.lit("ambiguous")).otherwise(pl.lit(method)), rows="rows",
    )  # fmt: skip


def _nearest(pairs: pl.DataFrame) -> pl.DataFrame:
    """The nearest of the pairs that are not sure, as candidates of a recording without a track."""
    best = pairs.sort("score", descending=True, maintain_order=True).group_by("recording", maintain_order=True)
    return best.agg(pl.col("row").head(1).alias("rows"), pl.first("score")).select(
        "recording", row=pl.lit(None, pl.UInt32), score="score", method=pl.lit("unmatched"), rows="rows"
    )


def _equal(left: pl.DataFrame, tracks: pl.DataFrame, mine: Sequence[str], theirs: Sequence[str] = ()) -> pl.DataFrame:
    """Pairs with equal values in these columns."""
    keys = tracks.select("row", **dict(zip(mine, theirs or mine, strict=True)))
    pairs = left.select("recording", *mine).join(keys, on=list(mine))
    return pairs.select("recording", "row", score=pl.lit(100.0), sure=pl.lit(True))


def _shared_ids(left: pl.DataFrame, tracks: pl.DataFrame, ids: str) -> pl.DataFrame:
    """Pairs that share an id of this kind."""
    mine, theirs = (
        table.select(key, pl.col(ids)).explode(ids) for table, key in ((left, "recording"), (tracks, "row"))
    )
    return _equal(mine.drop_nulls(), theirs.drop_nulls(), [ids])


def _same_paths(left: pl.DataFrame, tracks: pl.DataFrame) -> pl.DataFrame:
    """Pairs with paths that end in the same three parts, or in all parts of the shorter path."""
    steps = []
    for parts in (3, 2, 1):
        mine, theirs = (
            table.filter(pl.col("folders").list.len() >= parts).select(
                key, end=pl.col("folders").list.tail(parts).list.join("/"), whole=pl.col("folders").list.len() == parts
            )
            for table, key in ((left, "recording"), (tracks, "row"))
        )
        pairs = mine.join(theirs, on="end").filter((parts == 3) | pl.col("whole") | pl.col("whole_right"))
        steps.append(pairs.select("recording", "row", score=pl.lit(100.0), sure=pl.lit(True)))
    return pl.concat(steps)


def _same_names(left: pl.DataFrame, tracks: pl.DataFrame, title: str = "title_key") -> pl.DataFrame:
    """Pairs with the same title, and the same artist or the track's album artist."""
    names = ["artist_key", title]
    by_album_artist = _equal(left, tracks, names, ["album_artist_key", title])
    return pl.concat([_equal(left, tracks, names), by_album_artist])


def _same_first_artist(left: pl.DataFrame, tracks: pl.DataFrame) -> pl.DataFrame:
    """Pairs with the same title and first artist, sure where album or length agree too."""
    pairs = _compared(_equal(left, tracks, ["lead_key", "title_key"]), left, tracks)
    agree = pl.col("same_album") | (pl.col("apart") <= _CLOSE).fill_null(False)
    return pairs.select("recording", "row", "score", sure=agree)


def _described(recordings: pl.DataFrame, tracks: pl.DataFrame, matched: pl.DataFrame) -> pl.DataFrame:
    """The table `how` of Matched."""
    how = recordings.join(matched, on="recording", how="left", maintain_order="left")
    how = how.join(tracks.select("row", "track"), on="row", how="left", maintain_order="left")
    named = how.select("recording", "rows").explode("rows").drop_nulls()
    named = named.join(tracks.select(rows="row", candidate="track"), on="rows", how="left", maintain_order="left")
    candidates = named.group_by("recording").agg(candidates=pl.col("candidate").head(_SHOWN))
    how = how.join(candidates, on="recording", how="left", maintain_order="left")
    return how.with_columns(pl.col("method").fill_null("unmatched")).select(*HOW).cast(HOW)  # type: ignore[arg-type]


def _nothing(recordings: pl.DataFrame, tracks: pl.DataFrame) -> DataError:
    """The error for a history without a single matched recording."""
    mine, theirs = (
        "; ".join(_name(row) for row in table.head(3).iter_rows(named=True)) for table in (recordings, tracks)
    )
    lacking = [name for name in ("artist", "title") if not tracks[name].count()]
    fix = f"The catalogue has no {' and no '.join(lacking)}: tag the files, or give a table with these columns."
    if not lacking:
        fix = "Check that they are of the same person; `timbrec history --threshold` accepts less similar names."
    return DataError("no recording of the history is in the catalogue", count=len(recordings),
                     fix=f"The history has {mine}. The catalogue has {theirs}. {fix}")  # fmt: skip


def _name(row: dict[str, object]) -> str:
    names = [str(row[name]) for name in ("artist", "title") if row[name] is not None]
    return repr(" – ".join(names) or str(row.get("track") or row["path"] or row["mbid"]))
