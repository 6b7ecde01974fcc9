"""Splits: the rules between the parts of a split, and every part against the plays of the log."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import numpy as np
import polars as pl

from timbrec.audit.audited import Audited
from timbrec.audit.finding import Finding
from timbrec.data.interactions import Interactions
from timbrec.data.split import Fold, Split
from timbrec.types import Array, Int

TIMED = ("corrected", "tamm2026")


def split_clean(audited: Audited) -> Finding:
    """Count the pairs that break a rule of the split's protocol.

    Parts are disjoint, users come from train, and items are hot or cold by train. Every part is compared with all plays
    of the log. In a protocol by time, test and validation pairs have no play before their part, and no part counts
    plays after its end. In `item-holdout`, every pair has all of its plays.
    """
    faults = faults_of(audited.run.split) | dict(_play_faults(audited)) | dict(_artist_faults(audited))
    detail = ", ".join(f"{rule}: {count:,}" for rule, count in faults.items() if count)
    return Finding(not any(faults.values()), f"{sum(faults.values()):,} faults", "0 faults", detail)


def faults_of(split: Split) -> dict[str, int]:
    """The number of pairs, users or items of the split that break each rule."""
    faults: dict[str, int] = {}
    for name, fold in (("validation", split.validation), ("test", split.test)):
        faults |= {f"{name}: {rule}": count for rule, count in _faults(fold, split.protocol).items()}
    if split.protocol == "tamm2026":  # validation is a part of the test month there
        validated = _keys(split.validation.hot, split.validation.cold)
    else:
        validated = _keys(split.validation.train, split.validation.hot, split.validation.cold)
    tested = _keys(split.test.hot, split.test.cold)
    faults["test pairs that are validation pairs too"] = len(np.intersect1d(validated, tested))
    if split.protocol == "corrected":
        faults["validation pairs first played with or after a test pair"] = _late(split)
    return faults


def _faults(fold: Fold, protocol: str) -> dict[str, int]:
    later = _keys(fold.hot, fold.cold)
    users = np.union1d(fold.hot.user, fold.cold.user)
    faults = {
        "pairs that are also in train": len(np.intersect1d(_keys(fold.train), later)),
        "repeated pairs": len(later) - len(np.unique(later)),
        "hot items that are not in train": len(np.setdiff1d(fold.hot.item, fold.train.item)),
        "cold items that are in train": len(np.intersect1d(fold.cold.item, fold.train.item)),
        "users without train": len(np.setdiff1d(users, fold.train.user)),
    }
    if protocol in TIMED:
        faults["pairs first played before train ends"] = _not_after(fold.train, fold.hot, fold.cold)
    return faults


def _play_faults(audited: Audited) -> Iterator[tuple[str, int]]:
    """Yield the number of pairs per part with other plays or times than the log and the protocol give."""
    split, events = audited.run.split, audited.inputs.events
    table = events.table.with_columns(user=pl.Series(split.users.rows(events.users.ids)).gather(events.table["user"]))
    table = table.filter(pl.col("user") >= 0)
    if split.protocol in TIMED and events.timed:
        start, validate_at, test_at, end = _times(audited)
        window = table.filter((pl.col("time") >= start) & (pl.col("time") < end))
        first = window.group_by("user", "item").agg(first=pl.col("time").min())
        plays = {moment: _plays(window, pl.col("time") < moment) for moment in (validate_at, test_at, end)}
        if split.protocol == "tamm2026":
            spans = dict.fromkeys(("validation_hot", "validation_cold", "test_hot", "test_cold"), (test_at, end))
            spans |= {"fit": (start, test_at), "train": (start, test_at)}
        else:
            spans = {"fit": (start, validate_at), "train": (start, test_at)}
            spans |= dict.fromkeys(("validation_hot", "validation_cold"), (validate_at, test_at))
            spans |= dict.fromkeys(("test_hot", "test_cold"), (test_at, end))
        for name, part in split.parts().items():
            low, high = spans[name]
            pairs = _pairs(part).join(first, on=["user", "item"], how="left")
            pairs = pairs.join(plays[high], on=["user", "item"], how="left")
            inside = (pl.col("first") >= low) & (pl.col("first") < high)
            yield f"{name}: pairs first played outside the part's time", _wrong(pairs, inside)
            yield f"{name}: pairs with other plays than the log's", _wrong(pairs, pl.col("plays") == pl.col("logged"))
            expected = first.filter((pl.col("first") >= low) & (pl.col("first") < high))
            if name in ("fit", "train"):
                yield f"{name}: pairs of the log that are missing", _missing(expected, part)
            elif name in ("validation_hot", "test_hot"):
                fold = split.test if name == "test_hot" else split.validation
                expected = expected.filter(~_by_known_artists(audited, expected, fold), ~_removed(audited, expected))
                missing = _later_missing(name, expected, split)
                yield f"{name.removesuffix('_hot')}: pairs of the log that are missing", missing
        return
    logged = _plays(table, pl.lit(True))
    for name, part in split.parts().items():
        pairs = _pairs(part).join(logged, on=["user", "item"], how="left")
        yield f"{name}: pairs with other plays than the log's", _wrong(pairs, pl.col("plays") == pl.col("logged"))
    kept = pl.concat([_pairs(part) for part in (split.test.train, split.test.hot, split.test.cold)])
    left_out = logged.join(kept, on=["user", "item"], how="anti")
    left_out = left_out.filter(~_by_known_artists(audited, left_out, split.test), ~_removed(audited, left_out))
    yield "pairs of the log that are in no part", len(left_out)


def _by_known_artists(audited: Audited, pairs: pl.DataFrame, fold: Fold) -> pl.Series:
    """A mask of the pairs that a split by artist leaves out: the artist is in train, the item is not."""
    train, artists = fold.train, audited.inputs.artist_rows
    if artists is None or not audited.config.split.by_artist:
        return pl.Series([False] * len(pairs), dtype=pl.Boolean)
    item = pairs["item"].to_numpy()
    return pl.Series((artists[item] >= 0) & np.isin(artists[item], artists[train.items]) & ~np.isin(item, train.item))


def _removed(audited: Audited, pairs: pl.DataFrame) -> pl.Series:
    """A mask of the cold pairs that were removed because train knows their tracks."""
    if audited.inputs.whole is None:
        return pl.Series([False] * len(pairs), dtype=pl.Boolean)
    whole, split = audited.inputs.whole, audited.inputs.split
    folds = ((whole.validation, split.validation), (whole.test, split.test))
    gone = np.concatenate([np.setdiff1d(_keys(before.cold), _keys(after.cold)) for before, after in folds])
    item, user = pairs["item"].to_numpy(), pairs["user"].to_numpy()
    return pl.Series(np.isin(user * np.int64(split.test.train.n_items) + item, gone))


def _artist_faults(audited: Audited) -> Iterator[tuple[str, int]]:
    """The number of cold items per fold by artists who are in its train part, for splits by artist."""
    artists = audited.inputs.artist_rows
    if not audited.config.split.by_artist:
        return
    for name, fold in (("validation", audited.run.split.validation), ("test", audited.run.split.test)):
        if artists is None:
            yield f"{name}: cold items without artists", len(fold.cold.items)
            continue
        cold, known = artists[fold.cold.items], artists[fold.train.items]
        yield f"{name}: cold items by artists in train", int((np.isin(cold, known) & (cold >= 0)).sum())


def _times(audited: Audited) -> tuple[datetime, datetime, datetime, datetime]:
    """Start, validation, T and end of the config. By default a year before T and a month on both sides of T."""
    config = audited.config.split
    assert config.test_at is not None  # a split in time has it

    def moved(by: str) -> datetime:
        return pl.select(pl.lit(_naive(config.test_at)).dt.offset_by(by)).item()

    given = (config.start, config.validate_at, config.test_at, config.end)
    defaults = ("-1y", "-1mo", "0d", "1mo")
    return tuple(moved(by) if at is None else _naive(at) for at, by in zip(given, defaults, strict=True))  # type: ignore[return-value]


def _naive(moment: datetime | None) -> datetime:
    assert moment is not None
    return moment if moment.tzinfo is None else moment.astimezone(UTC).replace(tzinfo=None)


def _plays(table: pl.DataFrame, keep: pl.Expr) -> pl.DataFrame:
    return table.filter(keep).group_by("user", "item").agg(logged=pl.col("plays").sum())


def _pairs(part: Interactions) -> pl.DataFrame:
    frame = part.frame().select("user", "item", "plays")
    return frame.cast({"user": pl.Int64, "item": pl.UInt32})


def _wrong(pairs: pl.DataFrame, rule: pl.Expr) -> int:
    return len(pairs.filter(~rule.fill_null(False)))


def _missing(expected: pl.DataFrame, part: Interactions) -> int:
    return len(expected.join(_pairs(part), on=["user", "item"], how="anti"))


def _later_missing(name: str, expected: pl.DataFrame, split: Split) -> int:
    """The number of pairs of train users that are in no part of their time. tamm2026 has two folds in the same time."""
    folds = {"validation_hot": [split.validation], "test_hot": [split.test]}[name]
    if split.protocol == "tamm2026":
        folds = [split.validation, split.test]
    known = expected.filter(pl.col("user").is_in(np.unique(folds[0].train.user).tolist()))
    held = pl.concat([_pairs(part) for fold in folds for part in (fold.hot, fold.cold)])
    return len(known.join(held, on=["user", "item"], how="anti"))


def _keys(*parts: Interactions) -> Int[Array, "n"]:
    """One number per pair."""
    return np.concatenate([part.user * part.n_items + part.item for part in parts])


def _not_after(earlier: Interactions, *later: Interactions) -> int:
    """The number of later pairs first played before, or with, the last first play of the earlier part."""
    if earlier.first is None or not len(earlier):
        return 0
    last = earlier.first.max()
    return sum(int((part.first <= last).sum()) for part in later if part.first is not None)


def _late(split: Split) -> int:
    """Validation pairs first played at or after the first test pair."""
    tested = [part.first.min() for part in (split.test.hot, split.test.cold) if part.first is not None and len(part)]
    parts = (split.validation.hot, split.validation.cold)
    return sum(int((part.first >= min(tested)).sum()) for part in parts if part.first is not None and tested)
