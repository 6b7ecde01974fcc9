"""Ways between two tracks: the nearest tracks to points on the arc between their vectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from timbrec.errors import DataError
from timbrec.models.index import Index
from timbrec.models.search import Limits, Search, best
from timbrec.types import Array, Bool, Float32, Int


def way(
    index: Index,
    ends: Int[Array, "n"],
    steps: int,
    allowed: Bool[Array, "items"],
    ties: Int[Array, "items"],
    limits: Sequence[Limits] = (),
) -> Int[Array, "m"]:
    """The rows of `steps` tracks between the items `ends` (2,), in order; each the nearest to its point of the arc.

    A track is used once, within `limits`. Fewer rows are returned where nothing is left. Raises DataError for a
    negative number of steps.
    """
    if steps < 0:
        raise DataError("a path has no negative number of steps", example=steps, fix="Ask for 0 or more.")
    rows: list[int] = []
    allowed = allowed.copy()
    counted = [dict[int, int]() for _ in limits]
    directions = index.directions(ends)
    search = Search(index, directions, cosine=True)
    for weights in arc(directions[0], directions[1], steps):
        used = [
            replace(limit, taken=limit.taken | {group for group, times in count.items() if times >= limit.most})
            for limit, count in zip(limits, counted, strict=True)
        ]
        chosen, _ = best(search.ranking(weights, allowed, ties), 1, used)
        for row in chosen.tolist():
            rows.append(row)
            allowed[row] = False
            for limit, count in zip(limits, counted, strict=True):
                group = int(limit.groups[row])
                count[group] = count.get(group, 0) + 1
    return np.array(rows, np.int64)


def arc(start: Float32[Array, "dim"], end: Float32[Array, "dim"], steps: int) -> Float32[Array, "steps 2"]:
    """(steps, 2) weights of two unit vectors, for unit vectors at equal angles between them (Shoemake 1985).

    Opposite vectors have no shortest arc; the sums then lie on a straight line.
    """
    places = np.arange(1, steps + 1) / (steps + 1)
    angle = np.arccos(np.clip(start @ end, -1, 1))
    weights = np.column_stack([1 - places, places])
    if np.sin(angle) >= 1e-6:
        weights = np.sin(weights * angle)
    lengths = np.linalg.norm(weights @ np.stack([start, end]), axis=1, keepdims=True)
    return np.divide(weights, lengths, out=np.zeros_like(weights), where=lengths > 0).astype(np.float32)
