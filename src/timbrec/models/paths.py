"""Ways between two tracks: the nearest tracks to points on the arc between their vectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from timbrec.errors import DataError
from timbrec.models.search import Index, Limits, best
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
    lengths = np.where(index.lengths > 0, index.lengths, 1)
    allowed = allowed.copy()
    counted = [dict[int, int]() for _ in limits]
    start, end = index.directions(ends)
    scores = index.scores(np.ascontiguousarray(arc(start, end, steps).T))
    for step in range(steps):
        used = [
            replace(limit, taken=limit.taken | {group for group, times in count.items() if times >= limit.most})
            for limit, count in zip(limits, counted, strict=True)
        ]
        chosen = best(scores[:, step] / lengths, allowed, ties, 1, used)
        for row in chosen.tolist():
            rows.append(row)
            allowed[row] = False
            for limit, count in zip(limits, counted, strict=True):
                group = int(limit.groups[row])
                count[group] = count.get(group, 0) + 1
    return np.array(rows, np.int64)


def arc(start: Float32[Array, "dim"], end: Float32[Array, "dim"], steps: int) -> Float32[Array, "steps dim"]:
    """(steps, dim) unit vectors at equal angles between two unit vectors, without these (Shoemake 1985).

    Opposite vectors have no shortest arc; the points then lie on a straight line.
    """
    places = (np.arange(1, steps + 1) / (steps + 1))[:, None]
    angle = np.arccos(np.clip(start @ end, -1, 1))
    if np.sin(angle) < 1e-6:
        points = (1 - places) * start + places * end
    else:
        points = (np.sin((1 - places) * angle) * start + np.sin(places * angle) * end) / np.sin(angle)
    lengths = np.linalg.norm(points, axis=1, keepdims=True)
    return np.divide(points, lengths, out=np.zeros_like(points), where=lengths > 0).astype(np.float32)
