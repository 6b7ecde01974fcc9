from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from timbrec.data.vocabulary import Vocabulary
from timbrec.errors import DataError

IDS = st.lists(st.text(max_size=6), unique=True, max_size=30)


@given(IDS, st.integers(0, 99))
def test_every_id_finds_its_row_and_back(ids, step):
    vocabulary = Vocabulary(ids)
    asked = [ids[place * step % len(ids)] for place in range(2 * len(ids))]
    assert vocabulary.rows(asked).tolist() == [ids.index(one) for one in asked]
    assert vocabulary.take(vocabulary.rows(asked)).to_list() == asked


def test_unknown_and_null_ids_have_row_minus_one():
    asked = pl.Series(["b", None, "nobody", "a", "b"])
    assert Vocabulary(["a", "b"]).rows(asked).tolist() == [1, -1, -1, 0, 1]
    assert Vocabulary([]).rows(["a"]).tolist() == [-1]


def test_whole_numbers_are_taken_by_their_digits():
    vocabulary = Vocabulary.of(pl.Series([10, 9, 100, 9, -1]))
    assert vocabulary.ids.to_list() == ["-1", "9", "10", "100"]
    assert vocabulary.rows(pl.Series([100, 7], dtype=pl.UInt64)).tolist() == [3, -1]
    assert vocabulary.rows(["100", "0100"]).tolist() == [3, -1]


def test_text_is_in_the_order_of_code_points():
    ids = ["b", "a", "B", "é", "ｱ", "𝄞", "10", "9", "a"]
    assert Vocabulary.of(pl.Series(ids)).ids.to_list() == sorted(set(ids))


@pytest.mark.parametrize("dtype", [pl.Categorical, pl.Enum(["b", "c", "a"])])
def test_categories_are_in_the_order_of_their_text(dtype):
    assert Vocabulary.of(pl.Series(["b", "a", "c", "b"], dtype=dtype)).ids.to_list() == ["a", "b", "c"]


def test_nulls_of_a_column_are_no_ids():
    assert Vocabulary.of(pl.Series(["b", None, "a"])).ids.to_list() == ["a", "b"]


def test_repeated_ids_are_refused():
    with pytest.raises(DataError, match=r"distinct \(2 in all, e.g. 'a'\)"):
        Vocabulary(["a", "b", "a", "b", "a", "c"])


def test_null_ids_are_refused():
    with pytest.raises(DataError, match=r"not be empty \(1 in all\)"):
        Vocabulary(pl.Series(["a", None]))


def test_an_enormous_id_does_not_flood_the_terminal():
    huge = "x" * 1_000_000
    assert Vocabulary([huge]).rows([huge]).tolist() == [0]
    with pytest.raises(DataError) as caught:
        Vocabulary([huge, huge])
    assert len(str(caught.value)) < 200


@given(IDS, IDS)
def test_equality_and_digest_see_every_id_and_their_order(ids, others):
    one, other = Vocabulary(ids), Vocabulary(others)
    assert (one == other) == (one.digest == other.digest) == (ids == others)
    assert one == Vocabulary(list(ids))
    assert hash(one) == hash(Vocabulary(list(ids)))


def test_the_digest_sees_where_an_id_ends():
    assert Vocabulary(["a", "bc"]).digest != Vocabulary(["ab", "c"]).digest
    assert Vocabulary(["a", "b"]) != ["a", "b"]
