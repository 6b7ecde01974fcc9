"""Shared by the measurements: clocks, the machine, and data of the study's size."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable

import numpy as np
import polars as pl
import torch

from timbrec.data.interactions import Interactions

ITEMS, DIM, SEEN, RELEVANT, DEPTH = 56_000, 768, 140, 14, 100


def seconds(call: Callable[[], object]) -> float:
    """Wall clock of one call."""
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def medians(calls: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median seconds of each call. A round makes every call once, so that a slow moment of the machine hits all."""
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            taken[name].append(seconds(call))
    return {name: statistics.median(values) for name, values in taken.items()}


def machine() -> str:
    """Where the figures were taken."""
    return f"{os.cpu_count()} cores, torch {torch.__version__} with {torch.get_num_threads()} threads"


def pairs(users: int, per_user: int, rng: np.random.Generator) -> Interactions:
    """Random pairs, some `per_user` items each; low item rows are popular."""
    item = (ITEMS * rng.random((users, per_user)) ** 2).astype(np.int64)
    table = pl.DataFrame({"user": np.repeat(np.arange(users), per_user), "item": item.ravel()}).unique()
    return Interactions.of(table.with_columns(plays=pl.lit(1, pl.Int64)), users, ITEMS)


def unit_vectors(n: int, rng: np.random.Generator) -> np.ndarray:
    """Random directions, float32."""
    vectors = rng.standard_normal((n, DIM), dtype=np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
