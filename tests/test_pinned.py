"""Pinned numbers of every recommender: a change of numbers without a new `version` fails.

Recommenders without training are pinned by a digest of their lists (ids only). Their scores differ between machines by
about 1e-7, and lists are cut to places with gaps a thousand times larger, so the digest does not depend on the BLAS.
Training amplifies such differences: trained recommenders are pinned by a few scores with a tolerance of 1e-3, after a
single epoch. The world's numbers come from numpy's generators, which are the same everywhere.

To accept new numbers, raise `version` of the recommender, add a line under "Changes numbers" in CHANGELOG.md, and copy
the printed value into PINNED.
"""

from __future__ import annotations

import hashlib
from dataclasses import fields

import numpy as np
import pytest

from timbrec import catalog
from timbrec.protocols import Content, Recommender
from timbrec.ranking.rank import rank
from timbrec.recommenders import recommender
from timbrec.training import TrainedRecommender
from timbrec.worlds.planted import PlantedWorld

USERS, ITEMS, DEPTH, GAP, TOLERANCE = 60, 90, 5, 1e-4, 1e-3
SMALL = {"epochs": 1, "batch": 64, "width": 16, "feed_forward": 16, "factors": 16, "elsa_epochs": 1, "length": 12}
Pinned = tuple[int, str | list[float]]
PINNED: dict[str, Pinned] = {
    "random": (1, "a0e93fdc4f8c281d"),
    "new-first": (1, "7ee7f02f9a6822eb"),
    "popularity": (1, "96ad1087f4cd49f2"),
    "knn": (2, "5875d68ef7886dbc"),
    "artist-mean": (2, "5b60f8154f1abd05"),
    "shallow": (
        4,
        [0.36646, 0.27817, 0.74664, 0.58722, 0.3286, 0.63336, 0.25721, 0.65208, 0.4556, 0.48178, 0.36831, 0.4298],
    ),
    "contrastive": (
        2,
        [0.51045, 0.73664, 0.68661, 0.69015, 0.57442, 0.76235, 0.6652, 0.71985, 0.60606, 0.73198, 0.62991, 0.69278],
    ),
    "hybrid": (
        2,
        [0.53937, 0.76708, 0.71338, 0.70456, 0.58419, 0.79075, 0.70303, 0.7357, 0.61764, 0.75306, 0.66239, 0.69628],
    ),
    "bert4rec": (
        7,
        [1.62486, 2.40205, 3.65434, 4.56991, 1.45591, 2.25609, 3.5579, 4.70785, 1.72775, 2.8109, 3.71907, 4.5213],
    ),
    "elsa": (
        2,
        [0.25534, 0.27743, 0.33695, 0.29942, 0.29597, 0.37949, 0.32297, 0.25845, 0.25225, 0.38072, 0.30288, 0.24064],
    ),
    "ease": (2, "f38796e85ac06d22"),
}


def small(name: str) -> Recommender:
    """The recommender with settings that make it train in a second."""
    known = {part.name for part in fields(catalog.load("recommenders", name))}
    return recommender(name, {key: value for key, value in SMALL.items() if key in known})


def pinned(part: Recommender) -> Pinned:
    """The version with a digest of the lists, or with a few scores of a trained recommender."""
    world = PlantedWorld(USERS, ITEMS, dim=12, seed=5)
    train = world.split.test.train
    content = Content(world.vectors(0.9), np.random.default_rng(0).integers(20, size=ITEMS))
    scorer = part.fit(train, content, None, np.random.default_rng(0))
    if isinstance(part, TrainedRecommender):
        scores = scorer.score(train.users[:3], train.items[:4]).double().numpy()
        return part.version, [round(float(value), 5) for value in scores.ravel()]
    task = world.split.test.task("mixed" if scorer.can_rank_cold else "hot")
    lists = rank(scorer, task.users, task.candidates, train, DEPTH + 1)
    digest = hashlib.sha256()
    for items, scores in zip(lists.items, lists.scores, strict=True):
        clear = np.cumprod(scores[:-1] - scores[1:] > GAP).sum()  # places before the first near-tie
        digest.update(items[: min(clear, DEPTH)].astype("<i8").tobytes() + b"|")
    return part.version, digest.hexdigest()[:16]


def names() -> list[str]:
    """The recommenders of timbrec itself, without installed plug-ins."""
    known = catalog.names("recommenders")
    return [name for name in known if catalog.load("recommenders", name).__module__.startswith("timbrec.")]


@pytest.mark.parametrize("name", names())
def test_numbers_change_with_the_version_only(name: str) -> None:
    version, value = pinned(small(name))
    assert name in PINNED, f"{name} is not pinned: add {(version, value)}"
    pinned_version, expected = PINNED[name]
    assert version == pinned_version, f"{name} has a new version: pin {(version, value)}"
    message = f"numbers changed: raise the version of {name}, and pin {value}"
    if isinstance(expected, str):
        assert value == expected, message
    else:
        assert np.allclose(np.array(value, float), expected, rtol=TOLERANCE, atol=TOLERANCE), message
