"""Known leaks: encoders trained on the data of a probe."""

from __future__ import annotations

from collections.abc import Sequence

KNOWN = {  # part of the name of a file of vectors -> data set, and how the network saw it
    "musicnn_embeddings_1000": ("GTZAN", "Essentia's genre_tzanetakis-musicnn-msd-1 was trained further on GTZAN"),
    "genre_tzanetakis": ("GTZAN", "Essentia's genre_tzanetakis models were trained on GTZAN"),
}


def leak(encoder: str, data: str, datasets: Sequence[str], origin: str = "") -> str:
    """A sentence on how an encoder was trained on a probe's data set; empty if nothing is known."""
    if not data:
        return ""
    for part, (leaked, how) in KNOWN.items():
        if leaked == data and (part in origin or part in encoder):
            return f"{encoder} saw {data} in training ({how}): its score is no test of the encoder"
    if data in datasets:
        return f"{encoder} was trained on {data}: its score is no test of the encoder"
    return ""
