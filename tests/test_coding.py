from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from timbrec.data import coding, pairs, table_kinds, text
from timbrec.data.coding import Codes, vocabulary
from timbrec.data.events import Events, make_events
from timbrec.data.log import LogConfig, read_log
from timbrec.data.order import argsort
from timbrec.errors import DataError

KEYS: dict[str, Callable[[np.random.Generator], Any]] = {
    "short": lambda rng: rng.integers(1000, size=3000),
    "long": lambda rng: rng.integers(2**63, size=3000),
    "alike in their high bits": lambda rng: 2**62 + rng.integers(2, size=3000) * 2**60 + rng.integers(50, size=3000),
    "equal": lambda rng: np.full(3000, 2**63 - 1),
    "none": lambda rng: np.zeros(0),
}


@pytest.mark.parametrize("kind", KEYS)
def test_keys_are_ordered_as_by_a_stable_argsort(kind: str) -> None:
    keys = KEYS[kind](np.random.default_rng(0)).astype(np.uint64)
    assert argsort(keys).tolist() == np.argsort(keys, kind="stable").tolist()


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(st.one_of(st.none(), st.text(max_size=3)), max_size=12), max_size=5))
def test_codes_number_distinct_ids_over_all_blocks(blocks: list[list[str | None]]) -> None:
    codes = Codes()
    coded = [codes.of(pl.Series("user", block, dtype=pl.String)).to_list() for block in blocks]
    ids = codes.ids.to_list()
    assert len(set(ids)) == len(ids)
    assert [[None if code is None else ids[code] for code in block] for block in coded] == blocks


def test_codes_of_whole_numbers_keep_them_as_numbers() -> None:
    codes = Codes()
    column = pl.concat([codes.of(pl.Series("user", [10, 9])), codes.of(pl.Series("user", [2**63], dtype=pl.UInt64))])
    users, rows = vocabulary(column, codes.ids)
    assert users.ids.to_list() == ["9", "10", str(2**63)]
    assert rows.to_list() == [1, 0, 2]


def test_ids_that_are_not_used_are_not_in_the_vocabulary() -> None:
    users, rows = vocabulary(pl.Series("user", [2, 0], dtype=pl.UInt32), pl.Series(["b", "x", "a"]))
    assert (users.ids.to_list(), rows.to_list()) == (["a", "b"], [0, 1])


@pytest.mark.parametrize("blocks", [[["a", "b"]], [["a"], ["b"]]])
def test_ids_with_the_same_hash_never_count_as_one(blocks: list[list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    def hashes(texts: pl.Series) -> list[np.ndarray]:
        return [np.full(len(texts), 7, np.uint64), texts.hash(1).to_numpy()]

    monkeypatch.setattr(coding, "_hashes", hashes)
    codes = Codes()
    with pytest.raises(DataError, match="two ids of the log have the same hash"):
        _ = [codes.of(pl.Series("user", block)) for block in blocks]


ISO = [f"2019-02-{day:02d} 12:00:00" for day in range(1, 11)]
TIMES: dict[str, list[Any]] = {
    "ISO 8601": ISO,
    "zones": [f"{time}+01:00" for time in ISO],
    "seconds": list(range(1_549_000_000, 1_549_000_010)),
    "the day is known from one row": [f"{day:02d}/02/2019" for day in range(4, 14)],
    "some with a zone": [*ISO[:-1], "2019-02-10 12:00:00+01:00"],
    "some numbers": [*ISO[:8], "1549000000", ISO[0]],
    "some words": [*ISO[:8], "NULL", ISO[0]],
    "no time in a row": [*ISO[:8], None, ISO[0]],
    "no date": [*ISO[:8], "soon", ISO[0]],
}


@pytest.mark.parametrize("missing", ["refuse", "drop"])
@pytest.mark.parametrize("kind", [".csv", ".parquet"])
@pytest.mark.parametrize("times", TIMES)
def test_a_log_read_in_small_blocks_is_the_log_read_at_once(
    times: str, kind: str, missing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = pl.DataFrame({"user_id": [*"abcabcab", None, "d"], "track_id": [7, 8] * 5, "timestamp": TIMES[times]})
    path = tmp_path / f"log{kind}"
    table.write_csv(path) if kind == ".csv" else table.write_parquet(path, row_group_size=3)
    at_once = outcome(path, missing)
    monkeypatch.setattr(table_kinds, "_ROWS", 3)
    monkeypatch.setattr(text, "_BLOCK", 60)
    monkeypatch.setattr(coding, "_ROWS", 2)
    assert outcome(path, missing) == at_once


def outcome(path: Path, missing: str) -> Any:
    """The log's content, or the message of its error."""
    try:
        events: Events = read_log(LogConfig.model_validate({"path": path, "missing": missing}))
    except DataError as error:
        return str(error)
    return events.table.rows(), events.users.ids.to_list(), events.items.ids.to_list(), events.facts


def test_users_are_counted_in_ranges_of_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    table = pl.DataFrame({"user": rng.integers(40, size=900), "item": rng.integers(9, size=900)})
    events = make_events(table)
    expected = table.group_by("user", "item").len().sort("user", "item").rows()
    for ranges in (1, 7, 200):
        monkeypatch.setattr(pairs, "_RANGES", ranges)
        counted = pairs.pairs_of(events)
        assert list(zip(counted.user.tolist(), counted.item.tolist(), counted.plays.tolist(), strict=True)) == expected
