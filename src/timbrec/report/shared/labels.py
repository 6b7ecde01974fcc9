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
_LEADER = 12  # from this distance on a line leads from the point to its label
_CROSSING = 9  # what crossing a line costs, in pixels of distance


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
        boxes = np.stack(np.broadcast_arrays(x + _ACROSS * (_FAR + w / 2), y + _UP * (_FAR + h / 2), w / 2, h / 2), 1)
        inside = (np.abs(boxes[:, :2] - frame[:2]) + boxes[:, 2:] <= frame[2:]).all(1)
        free = np.flatnonzero(inside & ~_overlaps(boxes, taken).any(1))
        free = free[~_crossed(boxes[free], led).any(1)]
        leaders = _leaders(x, y, boxes[free])
        others = [box for box in taken if box[:2] != (x, y)]
        clear = (_FAR[free] < _LEADER) | ~_crossed(others, leaders).any(0)
        free, leaders = free[clear], leaders[clear]
        if not len(free):
            labels.append(None)
            continue
        best = int((_FAR[free] + _CROSSING * _crossed(boxes[free], lines).sum(1)).argmin())
        label = Label(Box(*boxes[free[best]]), tuple(leaders[best]) if _FAR[free[best]] >= _LEADER else None)
        labels.append(label)
        taken.append(label.box)
        led += [label.leader] if label.leader else []
    return labels


def _leaders(x: float, y: float, boxes: Float[Array, "n 4"]) -> Float[Array, "n 4"]:
    """Segments from just off the point to the nearest point of each box."""
    end = np.clip((x, y), boxes[:, :2] - boxes[:, 2:], boxes[:, :2] + boxes[:, 2:])
    away = end - (x, y)
    return np.hstack([(x, y) + 5 * away / np.linalg.norm(away, axis=1, keepdims=True), end])


def _overlaps(boxes: Float[Array, "n 4"], others: Sequence[Box]) -> Bool[Array, "n m"]:
    """Which boxes share a point with which others."""
    other = np.array(others).reshape(-1, 4)
    return (np.abs(boxes[:, None, :2] - other[:, :2]) < boxes[:, None, 2:] + other[:, 2:]).all(2)


def _crossed(
    boxes: Float[Array, "n 4"] | Sequence[Box], lines: Float[Array, "m 4"] | Sequence[Segment]
) -> Bool[Array, "n m"]:
    """Which segments pass through which boxes (Liang and Barsky 1984)."""
    box, line = np.array(boxes).reshape(-1, 1, 4), np.array(lines).reshape(-1, 4)
    start, step = line[:, :2], line[:, 2:] - line[:, :2]
    near, far = box[..., :2] - box[..., 2:] - start, box[..., :2] + box[..., 2:] - start
    with np.errstate(divide="ignore", invalid="ignore"):
        first, second = near / step, far / step
    between = np.where((near <= 0) & (far >= 0), -np.inf, np.inf)  # of a line along the other axis: always or never
    enter = np.where(step == 0, between, np.minimum(first, second)).max(2)
    leave = np.where(step == 0, np.inf, np.maximum(first, second)).min(2)
    return np.maximum(enter, 0) <= np.minimum(leave, 1)
