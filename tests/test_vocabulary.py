from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from timbrec.data.vocabulary import Vocabulary
from timbrec.errors import DataError

IDS = st.lists(st.text(max_size=6), unique=True, max_size=30)


@given(IDS, st.integers(0, 99))
def test_rows_and_take_are_inverse(ids: list[str], step: int) -> None:
    vocabulary = Vocabulary(ids)
    queries = [ids[place * step % len(ids)] for place in range(2 * len(ids))]
    assert vocabulary.rows(queries).tolist() == [ids.index(query) for query in queries]
    assert vocabulary.take(vocabulary.rows(queries)).to_list() == queries


def test_unknown_and_null_ids_have_row_minus_one() -> None:
    queries = pl.Series(["b", None, "nobody", "a", "b"])
    assert Vocabulary(["a", "b"]).rows(queries).tolist() == [1, -1, -1, 0, 1]
    assert Vocabulary([]).rows(["a"]).tolist() == [-1]


def test_whole_numbers_are_stored_by_their_digits() -> None:
    vocabulary = Vocabulary.of(pl.Series([10, 9, 100, 9, -1]))
    assert vocabulary.ids.to_list() == ["-1", "9", "10", "100"]
    assert vocabulary.rows(pl.Series([100, 7], dtype=pl.UInt64)).tolist() == [3, -1]
    assert vocabulary.rows(["100", "0100"]).tolist() == [3, -1]


def test_text_is_in_the_order_of_code_points() -> None:
    ids = ["b", "a", "B", "é", "ｱ", "𝄞", "10", "9", "a"]
    assert Vocabulary.of(pl.Series(ids)).ids.to_list() == sorted(set(ids))


@pytest.mark.parametrize("dtype", [pl.Categorical, pl.Enum(["b", "c", "a"])])
def test_categories_are_in_the_order_of_their_text(dtype: Any) -> None:
    assert Vocabulary.of(pl.Series(["b", "a", "c", "b"], dtype=dtype)).ids.to_list() == ["a", "b", "c"]


def test_null_values_of_a_column_are_skipped() -> None:
    assert Vocabulary.of(pl.Series(["b", None, "a"])).ids.to_list() == ["a", "b"]


def test_repeated_ids_are_refused() -> None:
    with pytest.raises(DataError, match=r"distinct \(2 in all, e.g. 'a'\)"):
        Vocabulary(["a", "b", "a", "b", "a", "c"])


def test_null_ids_are_refused() -> None:
    with pytest.raises(DataError, match=r"not be empty \(1 in all\)"):
        Vocabulary(pl.Series(["a", None]))


def test_an_enormous_id_does_not_flood_the_terminal() -> None:
    huge = "x" * 1_000_000
    assert Vocabulary([huge]).rows([huge]).tolist() == [0]
    with pytest.raises(DataError) as caught:
        Vocabulary([huge, huge])
    assert len(str(caught.value)) < 200


@given(IDS, IDS)
def test_equality_and_digest_depend_on_every_id_and_their_order(ids: list[str], others: list[str]) -> None:
    first, second = Vocabulary(ids), Vocabulary(others)
    assert (first == second) == (first.digest == second.digest) == (ids == others)
    assert first == Vocabulary(list(ids))
    assert hash(first) == hash(Vocabulary(list(ids)))


def test_the_digest_depends_on_where_an_id_ends() -> None:
    assert Vocabulary(["a", "bc"]).digest != Vocabulary(["ab", "c"]).digest
    assert Vocabulary(["a", "b"]) != ["a", "b"]
