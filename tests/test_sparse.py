from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from timbrec.recommenders.shared.sparse import pair_scores, row_sums, transposed


@given(st.lists(st.integers(0, 5), min_size=1, max_size=8), st.integers(0, 2**32 - 1))
def test_sums_and_scores_are_those_of_dense_products(counts: list[int], seed: int) -> None:
    rng = torch.Generator().manual_seed(seed)
    starts = torch.tensor([0, *counts]).cumsum(0)
    columns = torch.randint(9, (sum(counts),), generator=rng)
    dense = torch.zeros(len(counts), 9, dtype=torch.float64)
    dense.index_put_((torch.repeat_interleave(starts.diff()), columns), torch.ones(1).double(), accumulate=True)
    vectors, back = (torch.randn(n, 3, generator=rng, dtype=torch.float64) for n in (9, len(counts)))
    torch.testing.assert_close(row_sums(starts, columns, vectors), dense @ vectors)
    begin, rows = transposed(starts, columns, 9)
    column = torch.repeat_interleave(begin.diff())
    entries = zip(columns.tolist(), torch.repeat_interleave(starts.diff()).tolist(), strict=True)
    assert list(zip(column.tolist(), rows.tolist(), strict=True)) == sorted(entries)
    torch.testing.assert_close(row_sums(begin, rows, back), dense.T @ back)
    pairs = torch.randint(len(counts), (9, 2), generator=rng)
    scores = pair_scores(vectors, back, torch.arange(9), pairs)
    torch.testing.assert_close(scores, (vectors @ back.T).gather(1, pairs))
