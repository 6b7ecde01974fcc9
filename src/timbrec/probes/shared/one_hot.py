"""Readers of lists of labels: pairs of track and labels as a matrix of tags, and clips of jukemir's metadata."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from timbrec.data.compression import opened
from timbrec.data.faults import readable
from timbrec.errors import DataError
from timbrec.types import Array, Bool

PARTS = {"train": "train", "valid": "validation", "validation": "validation", "test": "test"}


def tag_matrix(lists: Sequence[Sequence[str]], names: Sequence[str]) -> Bool[Array, "n labels"]:
    """True where a track has a tag; tags that are not in `names` are left out."""
    place = {name: number for number, name in enumerate(names)}
    values = np.zeros((len(lists), len(names)), bool)
    for row, tags in enumerate(lists):
        values[row, [place[tag] for tag in tags if tag in place]] = True
    return values


def read_jukemir(path: Path) -> dict[str, Mapping[str, Any]]:
    """The clips of a metadata file of jukemir (github.com/p-lambda/jukemir) that are in a part of the split, by uid.

    A clip has `split` (train, valid, test), `y` and `extra`. Raises DataError for another content.
    """
    with readable(path), opened(path) as file:
        clips = json.loads(file.read())
    if not isinstance(clips, dict) or not all(isinstance(clip, dict) and "split" in clip for clip in clips.values()):
        raise DataError(f"{path} is not a metadata file of jukemir", fix="It maps ids of clips to split, y and extra.")
    return {uid: clip for uid, clip in clips.items() if clip["split"] in PARTS}
