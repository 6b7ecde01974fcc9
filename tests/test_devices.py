"""Threads of computations: limits, and the limits as they were before."""

from __future__ import annotations

import numpy as np
import scipy.linalg
import torch
from threadpoolctl import threadpool_info

from timbrec.machine.devices import limit_threads


def threads() -> list[int]:
    """The threads of each library of linear algebra, and of PyTorch."""
    assert np.linalg is not scipy.linalg  # both libraries are loaded
    return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"] + [
        torch.get_num_threads()
    ]


def test_threads_are_limited_inside_the_block_alone() -> None:
    before = threads()
    with limit_threads(1):
        assert set(threads()) == {1}
    assert threads() == before


def test_a_lower_limit_stays() -> None:
    with limit_threads(1):
        with limit_threads(64):
            assert set(threads()) == {1}
        assert set(threads()) == {1}
