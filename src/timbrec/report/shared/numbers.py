"""Formatting of numbers: as many digits as a table needs, the same in all its rows."""

from __future__ import annotations

from collections.abc import Iterable
from math import floor, isfinite, log10

NONE = "–"  # an undefined figure


def decimals(values: Iterable[float | None], significant: int = 3) -> int:
    """The decimals, at most 6, that give the largest of these values its significant digits; 2 for none but zeros."""
    largest = max((abs(value) for value in values if value is not None and isfinite(value)), default=0.0)
    return min(max(significant - 1 - floor(log10(largest)), 0), 6) if largest else 2


def fixed(value: float | None, digits: int) -> str:
    """The value with its decimals; "<0.0001" for a positive one that would read as zero."""
    if value is None or not isfinite(value):
        return NONE
    if 0 < value < 0.5 * 10**-digits:
        return f"<{10**-digits:.{digits}f}"
    return f"{value:.{digits}f}".replace("-", "−") if round(value, digits) else f"{0:.{digits}f}"


def signed(value: float | None, digits: int) -> str:
    """A difference, with its sign."""
    if value is None or not isfinite(value):
        return NONE
    return f"{value:+.{digits}f}".replace("-", "−") if round(value, digits) else f"{0:.{digits}f}"


def interval(low: float | None, high: float | None, digits: int, sign: bool = False) -> str:
    """The two limits in brackets; with `sign`, each has its sign."""
    if low is None or high is None or not (isfinite(low) and isfinite(high)):
        return NONE
    limits = (signed(limit, digits) if sign else f"{limit:.{digits}f}".replace("-", "−") for limit in (low, high))
    return f"[{', '.join(limits)}]"


def ratio(value: float | None) -> str:
    """A ratio, e.g. "×4.21", "×42.1"."""
    return NONE if value is None or not isfinite(value) else f"×{value:.{min(decimals([value]), 2)}f}"


def count(value: object) -> str:
    """A count with its thousands separated, "yes" or "no", or any other fact unchanged; "–" for None."""
    if value is None or value == "":
        return NONE
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return f"{value:,.0f}" if value == int(value) else f"{value:,.2f}".rstrip("0")
    return str(value)
