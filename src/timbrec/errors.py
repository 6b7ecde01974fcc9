"""Every error a user can cause, as one tree; each says what, how many, an example and what to do next."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence


class TimbrecError(Exception):
    """Something the user can put right. The command line prints it without a traceback and exits with 2.

    `what` is the sentence; `count` how many rows, ids or files it concerns; `example` one of them;
    `fix` what to do next. All parts end up in `str(error)`.
    """

    def __init__(self, what: str, *, count: int | None = None, example: object = None, fix: str = "") -> None:
        self.what, self.count, self.example, self.fix = what, count, example, fix
        shown = "" if example is None else f"e.g. {_shorten(example)}"
        detail = ", ".join(part for part in ("" if count is None else f"{count:,} in all", shown) if part)
        super().__init__(what + (f" ({detail})" if detail else "") + (f". {fix}" if fix else ""))


class DataError(TimbrecError):
    """The user's tables, ids or vectors are not what they must be."""


class ConfigError(TimbrecError):
    """The configuration asks for something that does not exist or does not fit together."""


class StoreError(TimbrecError):
    """A vector store is damaged, of another encoder, or does not hold what is asked for."""


class AudioError(TimbrecError):
    """One audio file cannot be read, or holds nothing that can be encoded.

    A `passing` error may be gone when the same file is read again.
    """

    def __init__(
        self, what: str, *, count: int | None = None, example: object = None, fix: str = "", passing: bool = False
    ) -> None:
        super().__init__(what, count=count, example=example, fix=fix)
        self.passing = passing


class CannotRankError(TimbrecError):
    """A recommender is asked to rank items it has no way to score, such as cold items for Popularity."""


class SeveralErrors(TimbrecError):  # noqa: N818 - a plural says better what it is
    """Everything wrong that was found in one go, so that the user mends it in one go."""

    def __init__(self, errors: list[TimbrecError]) -> None:
        self.errors = errors
        super().__init__("\n".join(f"{number}. {error}" for number, error in enumerate(errors, 1)))


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A hint with the nearest known name, such as "Did you mean 'knn'? "; empty where no name is near.

    Upper and lower case count as equal, and so do blanks at the ends.
    """
    plain = {other.strip().casefold(): other for other in known}
    near = difflib.get_close_matches(name.strip().casefold(), plain, n=1)
    return f"Did you mean {plain[near[0]]!r}? " if near else ""


def listing(names: Sequence[str], limit: int = 20) -> str:
    """The first names, separated by commas, and the number of the others: short whatever their number and length."""
    shown = ", ".join(name if len(name) <= 40 else f"{name[:39]}…" for name in names[:limit])
    return shown + (f" and {len(names) - limit:,} more" if len(names) > limit else "")


def _shorten(value: object, limit: int = 80) -> str:
    """The value's repr, cut in the middle, so that an enormous id cannot flood the terminal."""
    text = repr(value)
    return text if len(text) <= limit else f"{text[: limit // 2]}…{text[-limit // 4 :]} ({len(text):,} characters)"
