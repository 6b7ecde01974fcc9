"""Comparable forms of names: artists, titles and albums without differences of spelling."""

from __future__ import annotations

import polars as pl

_FEATURED = r"(?:feat\.?|ft\.?|featuring)"
_DOTTED = r"(?:feat\.|ft\.|featuring)"  # "feat" alone may be a word of the title
_REMASTER = r"\b(?:digital(?:ly)? )?remaster(?:ed)?(?: version| edition)?\b"


def artist_key(name: pl.Expr) -> pl.Expr:
    """The artist's name in comparable form: no featured guests, no "The" at the start, otherwise as `plain`."""
    text = _lower(name).str.replace(rf"\s[\(\[]?{_DOTTED}\s.*$", "").str.replace(r"^(.+), the$", "the ${1}")
    return _spelled(text.str.replace(r"^the\s+(.)", "${1}"), name)


def title_key(name: pl.Expr) -> pl.Expr:
    """The title in comparable form: no featured guests, qualifiers such as "live" kept, otherwise as `plain`.

    "Song - 2011 Remaster" and "Song (Remastered 2011)" are equal; "Song" and "Song (Live)" are not.
    """
    text = _lower(name).str.replace_all(rf"\s*[\(\[]\s*{_FEATURED}\s[^\)\]]*[\)\]]", " ")
    text = text.str.replace(rf"\s{_DOTTED}\s.*?(\s-\s.*|\s[\(\[].*|$)", "${1}")
    text = _spelled(text, name).str.replace(_REMASTER, "remaster")
    return text.str.replace(r"\b((?:19|20)\d\d) remaster\b", "remaster ${1}")


def without_remaster(key: pl.Expr) -> pl.Expr:
    """A title's key without "remaster" and its year: all masters of a recording are equal."""
    core = key.str.replace(r"\bremaster(?: (?:19|20)\d\d)?\b", "").str.replace_all(r"\s+", " ").str.strip_chars()
    return pl.when(core != "").then(core).otherwise(key)


def plain(name: pl.Expr) -> pl.Expr:
    """The name in Unicode form NFKC, lower case, "&" as "and", without punctuation; punctuation alone is kept."""
    return _spelled(_lower(name), name)


def without_accents(key: pl.Expr) -> pl.Expr:
    """The key without the accents of Latin letters: "beyoncé" and "beyonce" are equal."""
    text = key.str.normalize("NFD").str.replace_all(r"(\p{Latin})\p{M}+", "${1}").str.normalize("NFC")
    for letter, plain_letters in {"ø": "o", "ł": "l", "đ": "d", "æ": "ae", "œ": "oe", "ß": "ss"}.items():
        text = text.str.replace_all(letter, plain_letters, literal=True)
    return text


def lead_artist(name: pl.Expr) -> pl.Expr:
    """The name before the first "," ";" "/" "&" "and", "x", "vs" or "with" between artists."""
    return name.str.replace(r"(?i)\s*(?:[,;/&+]|\s(?:and|x|vs\.?|with|feat\.?|ft\.?|featuring)\s).*$", "")


def _lower(name: pl.Expr) -> pl.Expr:
    return name.str.normalize("NFKC").str.to_lowercase().str.strip_chars()


def _spelled(text: pl.Expr, name: pl.Expr) -> pl.Expr:
    words = text.str.replace_all(r"['’‘`´ʼ]", "").str.replace_all(r"[&+]", " and ")
    words = words.str.replace_all(r"[^\p{L}\p{M}\p{N}]+", " ").str.strip_chars()
    return pl.when(words != "").then(words).otherwise(_lower(name))
