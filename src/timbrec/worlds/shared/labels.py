"""Ids, names, genres and tags of synthetic tracks; genres and tags follow the tracks' factors with noise."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from timbrec.types import Array, Float, Float32

GENRES: dict[str, dict[str, float]] = {  # the centre of each genre; taste ignores half of these factors
    "ambient": {"percussion": -1.0, "tempo": -0.8, "space": 1.2, "attack": -1.0},
    "ballad": {"tempo": -1.2, "register": 0.6, "roughness": -0.8},
    "dub": {"register": -1.2, "space": 1.0, "brightness": -0.8},
    "jazz": {"harmony": 1.3, "swing": 1.0, "noise": 0.6},
    "metal": {"roughness": 1.3, "tempo": 0.8, "register": -0.6},
    "pop": {"harmony": -0.5, "space": -0.5, "swing": -0.6, "brightness": 0.8},
    "punk": {"harmony": -1.2, "roughness": 0.8, "tempo": 0.8, "attack": 0.6},
    "techno": {"percussion": 1.2, "tempo": 0.7, "swing": -1.0, "noise": -0.5},
}
TAGS: dict[str, dict[str, float]] = {  # the direction in which a factor must be strong
    "fast": {"tempo": 1.0},
    "slow": {"tempo": -1.0},
    "bright": {"brightness": 1.0},
    "distorted": {"roughness": 1.0},
    "plucked": {"attack": 1.0},
    "spacious": {"space": 1.0},
    "deep": {"register": -1.0},
    "dark mood": {"mode": -1.0},
    "loud": {"loudness": 1.0},
}

_LABEL_NOISE = 0.7  # standard deviation of the error in labels; that of a factor is 1
_TAG_THRESHOLD = 1.3  # strength from which a track gets a tag
_FIRST = ("Amber", "Copper", "Distant", "Electric", "Glass", "Hollow", "Little", "Neon", "Paper", "Silver", "Wild")
_SECOND = ("Avenue", "Bridges", "Canyon", "Comet", "Engine", "Garden", "Harbour", "Mirrors", "Rivers", "Static")
_ALPHABET = np.frombuffer(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", np.uint8)


def ids(n: int, rng: np.random.Generator) -> pl.Series:
    """`n` random ids of 16 letters and digits, in ascending order of code points."""
    letters = _ALPHABET[rng.integers(len(_ALPHABET), size=(n, 16))]
    return pl.Series(letters.view("S16")[:, 0].astype("U16")).sort()


def names(pattern: str, n: int, rng: np.random.Generator) -> pl.Series:
    """`n` random names: `pattern` with two words in the place of its braces. Names may repeat."""
    first, second = (pl.Series(words).gather(rng.integers(len(words), size=n)) for words in (_FIRST, _SECOND))
    return pl.select(pl.format(pattern, first, second)).to_series()


def genres(latents: Float32[Array, "tracks factors"], factors: Sequence[str], rng: np.random.Generator) -> pl.Series:
    """The genre with the centre nearest to each track, after noise. `factors` names the columns of `latents`."""
    strength, square = _noisy_strength(latents, factors, GENRES, rng)
    return pl.Series(list(GENRES)).gather((strength - square / 2).argmax(axis=1))


def tags(latents: Float32[Array, "tracks factors"], factors: Sequence[str], rng: np.random.Generator) -> pl.Series:
    """The tags of each track, a list that may be empty: the directions in which the track is strong, after noise."""
    strong = _noisy_strength(latents, factors, TAGS, rng)[0] > _TAG_THRESHOLD
    chosen = [pl.when(pl.Series(strong[:, number])).then(pl.lit(tag)) for number, tag in enumerate(TAGS)]
    return pl.select(pl.concat_list(chosen).list.drop_nulls()).to_series()


def _noisy_strength(
    latents: Float32[Array, "tracks factors"],
    factors: Sequence[str],
    labels: dict[str, dict[str, float]],
    rng: np.random.Generator,
) -> tuple[Float[Array, "tracks labels"], Float[Array, "labels"]]:
    """Inner product of each track with each label's direction, plus noise, and the squared length of the directions."""
    directions = np.zeros((len(labels), len(factors)))
    for direction, weights in zip(directions, labels.values(), strict=True):
        direction[[factors.index(factor) for factor in weights]] = list(weights.values())
    strength = latents @ directions.T
    return strength + rng.normal(0, _LABEL_NOISE, strength.shape), np.sum(directions**2, axis=1)
