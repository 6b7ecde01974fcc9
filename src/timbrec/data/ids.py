"""Checks of ids: missing values, and ids that differ only in spelling."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from timbrec.errors import DataError

_TEXT = (pl.String, pl.Categorical, pl.Enum)
_MISSING = r"(?i)^\s*(nan|null|none|na|n/a|#n/a|<na>|nat|nil|undefined|\\n|\(null\)|-{1,3}|\?)?\s*$"
_PLACEHOLDER = r"(?i)^\s*(unknown|anonymous|anon|guest|missing|not set|\(not set\)|0{8}-0{4}-0{4}-0{4}-0{12})\s*$"
_ROUNDED = r"^\d\.\d+[eE]\+?\d+$|^\d(\.\d+)?E\+\d+$"  # as spreadsheets and pandas write large numbers
_LOOSE = ("the folder or suffix of a file's name", "a prefix")  # forms in which unrelated ids may agree by chance


def checked_ids(column: pl.Series, where: str) -> pl.Series:
    """The column itself. Raises DataError unless it holds text or whole numbers."""
    if not (column.dtype.is_integer() or column.dtype in (*_TEXT, pl.Null)):
        is_list = isinstance(column.dtype, pl.List | pl.Array)
        advice = " In a log, `explode: true` makes a row of each element." if is_list else ""
        raise DataError(f"{where} holds {column.dtype}, not ids", fix=f"Store ids as text or whole numbers.{advice}")
    return column


def meaningless(column: pl.Series) -> pl.Series:
    """A mask of the ids that stand for a missing value: null, blank, `nan`, `NULL`, `\\N` and similar words."""
    if column.dtype not in _TEXT:
        return column.is_null()
    return column.cast(pl.String).str.contains(_MISSING).fill_null(True)


def placeholders(ids: pl.Series) -> pl.Series:
    """The ids that often stand for unknown ones: -1 among numbers from 0, a UUID of zeros, "unknown", "anonymous"."""
    words = ids.filter(ids.str.contains(_PLACEHOLDER))
    negative = ids.filter(ids.str.contains(r"^-\d+$"))
    return pl.concat([words, negative]) if negative.to_list() in (["-1"], ["-1.0"]) else words


def rounded(ids: pl.Series) -> pl.Series:
    """The ids that are large numbers in exponent notation, such as 1.23E+11, and may have lost digits."""
    return ids.filter(ids.str.contains(_ROUNDED))


_TWINS = ("blanks at the ends", "invisible characters", "Unicode form (NFC and NFD)", '".0" at the end',
          "upper and lower case")  # fmt: skip


@dataclass(frozen=True)
class Likeness:
    """Ids that would match if they were spelled alike: their difference, their number, and an example pair."""

    difference: str
    count: int
    left: str
    right: str

    def __str__(self) -> str:
        return f"{self.difference} ({self.count:,} in all, e.g. {_visible(self.left)} and {_visible(self.right)})"


def likeness(left: pl.Series, right: pl.Series) -> Likeness | None:
    """The first difference in spelling without which ids in `left` would match ids in `right`; None if there is none.

    Differences are removed one after another: blanks at the ends, invisible characters, Unicode normal form, ".0" at
    the end, upper and lower case, zeros at the start, quotes, folder and suffix of a file name, a prefix such as
    "spotify:track:". The last two, in which unrelated ids may agree by chance, count only if half of the shorter list
    then matches.
    """
    mine, others = (pl.DataFrame({"id": ids, "form": ids}) for ids in (left, right))
    for difference, form in _FORMS.items():
        mine, others = mine.with_columns(form), others.with_columns(form)
        pairs = mine.join(others.unique("form", maintain_order=True), on="form", maintain_order="left")
        if len(pairs) >= (max(1, min(len(left), len(right)) / 2) if difference in _LOOSE else 1):
            return Likeness(difference, len(pairs), pairs["id"][0], pairs["id_right"][0])
    return None


def near_duplicates(ids: pl.Series) -> Likeness | None:
    """Ids that differ from others in the list only in spelling; None without any.

    Differences are blanks at the ends, invisible characters, Unicode form, ".0", and upper and lower case. The last
    counts only for a twentieth of the list, since random ids such as Spotify's agree in it by chance.
    """
    table = pl.DataFrame({"id": ids, "form": ids})
    for difference in _TWINS:
        table = table.with_columns(_FORMS[difference])
        repeated = table.filter(pl.col("form").is_duplicated())
        count = len(repeated) - repeated["form"].n_unique()
        if count > (len(ids) / 20 if difference == _TWINS[-1] else 0):
            pair = repeated.filter(pl.col("form") == repeated["form"][0])["id"]
            return Likeness(difference, count, pair[0], pair[1])
    return None


def examples(ids: pl.Series, number: int = 3) -> str:
    """The first ids for a message."""
    return ", ".join(map(_visible, ids.head(number)))


def _visible(text: str) -> str:
    """An id in quotes, with non-ASCII characters escaped, since some look alike; cut after 60 characters."""
    shown = repr(text) if text.isascii() else ascii(text)
    return shown if len(shown) <= 60 else f"{shown[:58]}…'"


_FORM = pl.col("form")
_FORMS: dict[str, pl.Expr | Sequence[pl.Expr]] = {
    "blanks at the ends": _FORM.str.strip_chars(),
    "invisible characters": _FORM.str.replace_all(r"[\p{Cc}\p{Cf}]", "").str.strip_chars(),
    "Unicode form (NFC and NFD)": _FORM.str.normalize("NFKC"),
    '".0" at the end': _FORM.str.replace(r"^(-?\d+)\.0+$", "${1}"),
    "upper and lower case": _FORM.str.to_lowercase(),
    "zeros at the start": _FORM.str.replace(r"^0+(\d)", "${1}"),
    "quotes around them": _FORM.str.replace(r"^b?(['\"])(.*)['\"]$", "${2}"),
    # A suffix has a letter: "blues.00000" is a whole name.
    "the folder or suffix of a file's name": _FORM.str.replace(r"^.*[/\\]", "").str.replace(
        r"\.(?:[a-z][a-z0-9]{1,4}|[0-9][a-z][a-z0-9]{0,3})$", ""
    ),
    "a prefix": _FORM.str.replace(r"^.*[:_ -]", "").str.replace(r"^[a-z]+(\d+)$", "${1}"),
}
