"""Messages of errors: in words, without Python's way of writing values."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from timbrec.errors import TimbrecError


@pytest.mark.parametrize(
    ("example", "shown"),
    [
        ("a\tb", r"'a\tb'"),
        (1990, "1990"),
        ((1990, 1980), "1990, 1980"),
        (["track", "user"], "'track', 'user'"),
        ({"b", "a"}, "'a', 'b'"),
        ({"rate": 1, "name": "x"}.keys(), "'name', 'rate'"),
        ({"rate": 1, "name": "x"}, "rate: 1, name: 'x'"),
        ((None, "t0"), "no value, 't0'"),
        ([], "nothing"),
        ((("a", "b"), 3), "'a', 'b', 3"),
        (datetime(2019, 2, 1), "2019-02-01 00:00:00"),
        (np.float32(0.5), "0.5"),
        (np.str_("id"), "'id'"),
        (Path("music/a.flac"), "'music/a.flac'"),
        (pl.Series([1, None]), "1, no value"),
        (b"x", "b'x'"),
    ],
)
def test_examples_are_in_words(example: object, shown: str) -> None:
    assert str(TimbrecError("wrong", example=example)) == f"wrong (e.g. {shown})"


def test_counts_and_long_examples() -> None:
    assert str(TimbrecError("wrong", count=0, fix="Mend it.")) == "wrong. Mend it."
    assert str(TimbrecError("wrong", count=1200, example="x")) == "wrong (1,200 in all, e.g. 'x')"
    long = str(TimbrecError("wrong", example=["name"] * 5000))
    assert len(long) < 120
    assert "39,998 characters" in long
