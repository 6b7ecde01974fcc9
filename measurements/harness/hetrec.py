"""HetRec plays of half of the users, split by artist, with the other half's tags for content."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from timbrec.data.cuts import by_items
from timbrec.data.split import Split
from timbrec.data.vocabulary import Vocabulary
from timbrec.datasets.hetrec import HetRec
from timbrec.protocols import Content
from timbrec.study.catalogue import shared_catalogue


def hetrec_split(data: Path, seed: int, listeners: int) -> tuple[Split, Content]:
    """Artists with `listeners` or more, a tenth of them cold, and tags-128; a seed is another half."""
    dataset = HetRec(data / "hetrec_lastfm", seed=seed)
    vectors = dataset.vectors()["tags-128"]
    catalogue = shared_catalogue(dataset.events(), {"tags-128": vectors})
    events = dataset.events().restricted_to(catalogue)
    heard = np.bincount(events.table.unique(["user", "item"])["item"], minlength=len(catalogue))
    known = Vocabulary(catalogue.ids.filter(heard >= listeners))
    return by_items(events.restricted_to(known), seed), Content(vectors.aligned(known.ids))
