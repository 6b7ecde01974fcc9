"""Errors that a user can cause: each names the problem, a count, an example and the next step."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from pathlib import PurePath


class TimbrecError(Exception):
    """An error the user can fix. The command line prints it without a traceback and exits with its code.

    `what` is the problem; `count` the number of rows, ids or files with it; `example` one of them, or a pair or a few
    that belong together; `fix` the next step. `str(error)` contains all parts; a count of zero is left out.
    """

    exit_code = 2  # of the command line

    def __init__(self, what: str, *, count: int | None = None, example: object = None, fix: str = "") -> None:
        self.what, self.count, self.example, self.fix = what, count, example, fix
        shown = "" if example is None else f"e.g. {_shorten(example)}"
        detail = ", ".join(part for part in (f"{count:,} in all" if count else "", shown) if part)
        super().__init__(what + (f" ({detail})" if detail else "") + (f". {fix}" if fix else ""))


class DataError(TimbrecError):
    """The user's tables, ids or vectors are invalid."""


class ConfigError(TimbrecError):
    """The configuration names parts or settings that do not exist or contradict each other."""


class StoreError(TimbrecError):
    """A vector store is damaged, belongs to another encoder, or lacks a requested vector."""


class PlaceError(StoreError):
    """A bucket or another remote place cannot be reached, read or written, or changed meanwhile."""


class AudioError(TimbrecError):
    """An audio file cannot be read, or has no content that can be encoded.

    `passing` marks an error that may not occur again when the same file is read again.
    """

    def __init__(
        self, what: str, *, count: int | None = None, example: object = None, fix: str = "", passing: bool = False
    ) -> None:
        super().__init__(what, count=count, example=example, fix=fix)
        self.passing = passing


class NoAudioError(TimbrecError):
    """No file of an audio folder could be encoded: more than any `max_failures` allows, so the exit code is 1."""

    exit_code = 1


class CannotRankError(TimbrecError):
    """A recommender cannot score the candidates, such as Popularity cold items."""


class SeveralErrors(TimbrecError):  # noqa: N818 - a plural says better what it is
    """All errors of one check, so that the user can fix them in one go."""

    def __init__(self, errors: list[TimbrecError]) -> None:
        self.errors = errors
        super().__init__("\n".join(f"{number}. {error}" for number, error in enumerate(errors, 1)))


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A hint with the nearest known name, such as "Did you mean 'knn'? "; empty if no name is near.

    Case and blanks at the ends do not matter.
    """
    plain = {other.strip().casefold(): other for other in known}
    near = difflib.get_close_matches(name.strip().casefold(), plain, n=1)
    return f"Did you mean {plain[near[0]]!r}? " if near else ""


def listing(names: Sequence[str], limit: int = 20) -> str:
    """The first `limit` names, separated by commas, and the number of the rest; long names are cut."""
    shown = ", ".join(name if len(name) <= 40 else f"{name[:39]}…" for name in names[:limit])
    return shown + (f" and {len(names) - limit:,} more" if len(names) > limit else "")


def in_words(value: object) -> str:
    """The value as people write it, not as Python does: texts in quotes, collections as their values.

    Sets are sorted; None is "no value", and an empty collection "nothing".
    """
    if value is None:
        return "no value"
    if isinstance(value, str | PurePath):
        return repr(str(value))
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {in_words(inner)}" for key, inner in value.items()) or "nothing"
    if isinstance(value, AbstractSet):
        return ", ".join(sorted(map(in_words, value))) or "nothing"
    if isinstance(value, Iterable) and not isinstance(value, bytes):
        return ", ".join(map(in_words, value)) or "nothing"
    return str(value)


def _shorten(value: object, limit: int = 80) -> str:
    """The value in words, cut in the middle, so that an enormous id cannot flood the terminal."""
    text = in_words(value)
    return text if len(text) <= limit else f"{text[: limit // 2]}…{text[-limit // 4 :]} ({len(text):,} characters)"
