"""Labels for points in a plane that touch neither each other nor other marks."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from timbrec.types import Array, Bool, Float

Segment = tuple[float, float, float, float]  # x1, y1, x2, y2

_TURNS = np.array([0, 12, 18, 6, *range(1, 24)]) * np.pi / 12  # right, left, above, below, then all around
_DISTANCES = np.array([7, 11, 16, 22, 30, 40, 52, 66, 82, 100.0])  # from the point to the label's edge, in pixels
_FAR = np.repeat(_DISTANCES, len(_TURNS))
_ACROSS, _UP = np.tile(np.cos(_TURNS), len(_DISTANCES)), np.tile(np.sin(_TURNS), len(_DISTANCES))
_NEAR = 2 * len(_TURNS)  # the places at the first two distances; from farther ones a line leads to the label
_CROSSING = 9  # the cost of crossing a line, in pixels of distance


class Box(NamedTuple):
    """A rectangle: its centre and half its size."""

    x: float
    y: float
    w: float
    h: float


class Label(NamedTuple):
    """The box of a centred text, and the line that leads to it from its point; None for a near text."""

    box: Box
    leader: Segment | None


def width(text: str, size: int) -> float:
    """The approximate width of a text in pixels in a sans-serif of this size; wide characters count twice."""
    ems = (
        0.0 if unicodedata.combining(char) else 1.05 if unicodedata.east_asian_width(char) in "WF" else 0.66
        for char in text
    )
    return size * sum(ems)


def place(
    anchors: Sequence[tuple[float, float, float, float]], frame: Box, blocked: Sequence[Box], lines: Sequence[Segment]
) -> list[Label | None]:
    """A label for each anchor (x, y, label width, label height), in order; None where there is no room.

    Labels lie in the frame, off the `blocked` boxes, off each other and off each other's leaders; among the places
    left, the nearest one that crosses the fewest `lines` wins.
    """
    labels: list[Label | None] = []
    taken, led = list(blocked), list[Segment]()
    for x, y, w, h in anchors:
        label = _nearest((x, y), (w / 2, h / 2), frame, taken, led, lines)
        labels.append(label)
        if label is not None:
            taken.append(label.box)
            led += [label.leader] if label.leader else []
    return labels


def _nearest(
    at: tuple[float, float], half: tuple[float, float], frame: Box, taken: Sequence[Box], led: Sequence[Segment],
    lines: Sequence[Segment],
) -> Label | None:  # fmt: skip
    """The label of one anchor; the places near the point are tried first, because most labels need no other."""
    for first, last in ((0, _NEAR), (_NEAR, len(_FAR))):
        far, across, up = _FAR[first:last], _ACROSS[first:last], _UP[first:last]
        centre = np.stack([at[0] + across * (far + half[0]), at[1] + up * (far + half[1])], 1)
        boxes = np.hstack([centre, np.broadcast_to(half, centre.shape)])
        inside = (np.abs(boxes[:, :2] - frame[:2]) + boxes[:, 2:] <= frame[2:]).all(1)
        free = np.flatnonzero(inside)
        free = free[~_overlaps(boxes[free], taken).any(1)]
        free = free[~_crossed(boxes[free], led).any(1)]
        leaders = _leaders(*at, boxes[free])
        if first:
            others = [box for box in taken if box[:2] != at]
            clear = ~_crossed(others, leaders).any(0)
            free, leaders = free[clear], leaders[clear]
        if len(free):
            best = int((far[free] + _CROSSING * _crossed(boxes[free], lines).sum(1)).argmin())
            return Label(Box(*boxes[free[best]]), tuple(leaders[best]) if first else None)
    return None


def _leaders(x: float, y: float, boxes: Float[Array, "n 4"]) -> Float[Array, "n 4"]:
    """Segments from just off the point to the nearest point of each box."""
    end = np.clip((x, y), boxes[:, :2] - boxes[:, 2:], boxes[:, :2] + boxes[:, 2:])
    away = end - (x, y)
    return np.hstack([(x, y) + 5 * away / np.linalg.norm(away, axis=1, keepdims=True), end])


def _overlaps(boxes: Float[Array, "n 4"], others: Sequence[Box]) -> Bool[Array, "n m"]:
    """A mask of the boxes (rows) that share a point with others (columns)."""
    other = np.array(others).reshape(-1, 4)
    apart = np.abs(boxes[:, None, :2] - other[:, :2]) >= boxes[:, None, 2:] + other[:, 2:]
    return np.asarray(~apart.any(2))


def _crossed(
    boxes: Float[Array, "n 4"] | Sequence[Box], lines: Float[Array, "m 4"] | Sequence[Segment]
) -> Bool[Array, "n m"]:
    """A mask of the segments that pass through boxes (Liang and Barsky 1984)."""
    box, line = np.array(boxes).reshape(-1, 1, 4), np.array(lines).reshape(-1, 4)
    start, step = line[:, :2], line[:, 2:] - line[:, :2]
    near, far = box[..., :2] - box[..., 2:] - start, box[..., :2] + box[..., 2:] - start
    with np.errstate(divide="ignore", invalid="ignore"):
        first, second = near / step, far / step
    between = np.where((near <= 0) & (far >= 0), -np.inf, np.inf)  # of a line along the other axis: always or never
    enter = np.where(step == 0, between, np.minimum(first, second)).max(2)
    leave = np.where(step == 0, np.inf, np.maximum(first, second)).min(2)
    return np.asarray(np.maximum(enter, 0) <= np.minimum(leave, 1))
