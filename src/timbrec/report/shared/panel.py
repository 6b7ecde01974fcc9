"""Panels: small drawings with two axes, for the template `part.panel(panel)`."""

from __future__ import annotations

from dataclasses import dataclass

from timbrec.report.shared.drawing import Name, Scale
from timbrec.report.shared.labels import Box

Tick = tuple[float, str]  # place in pixels, text


@dataclass(frozen=True)
class PanelMark:
    """A point: its place, its class names in the style sheet, and its text."""

    x: float
    y: float
    style: str
    text: str


@dataclass(frozen=True)
class Panel:
    """A drawing of `width` x `height` pixels. `paths` are (class names, SVG path); `summary` is for screen readers."""

    width: int
    height: int
    font: int
    frame: Box
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    x_title: str
    y_title: str
    paths: tuple[tuple[str, str], ...]
    marks: tuple[PanelMark, ...]
    names: tuple[Name, ...]
    title: str
    summary: str


def frame_of(width: int, height: int, font: int) -> Box:
    """The area inside the axes."""
    left, right, top, bottom = 4.8 * font, width - 0.8 * font, 1.0 * font, height - 3.4 * font
    return Box((left + right) / 2, (top + bottom) / 2, (right - left) / 2, (bottom - top) / 2)


def across(frame: Box, low: float, high: float) -> Scale:
    """The horizontal scale of a frame."""
    return Scale(low, high, frame.x - frame.w, frame.x + frame.w)


def upright(frame: Box, low: float, high: float) -> Scale:
    """The vertical scale of a frame."""
    return Scale(low, high, frame.y + frame.h, frame.y - frame.h)
