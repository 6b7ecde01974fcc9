"""GTZAN: ten genres, in the split without faulty clips."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import ClassVar

import polars as pl

from timbrec.probes.shared.audio import with_audio
from timbrec.probes.shared.base import Context, Probe
from timbrec.probes.shared.labels import Labels, class_labels

FOLDERS = ("genres", "genres_original", "")
SUFFIXES = (".wav", ".au", ".mp3")


@dataclass(frozen=True)
class GTZAN(Probe):
    """Genre of 930 clips of 30 s: 443 train, 197 validation, 290 test, in the fault-filtered split.

    The split (Kereliuk, Sturm & Larsen 2015) leaves out repeated, distorted and wrongly labelled clips, and keeps
    artists apart. Ids are `blues.00029`. `path` is the folder with `genres/blues/blues.00029.wav` (or .au;
    `genres_original` in the copy on Kaggle); it is not needed where the vectors of the clips are given.
    """

    path: Path | None = None

    data: ClassVar[str] = "GTZAN"
    licence: ClassVar[str] = "no licence stated"
    citation: ClassVar[str] = "Tzanetakis & Cook: Musical genre classification of audio signals. IEEE TSAP 10(5), 2002"
    url: ClassVar[str] = "https://www.kaggle.com/datasets/andradaolteanu/gtzan-dataset-music-genre-classification"

    def labels(self, context: Context) -> Labels:
        """The genre of each clip of the split."""
        tracks = split()
        labels = class_labels(tracks, tracks["id"].str.split(".").list.first())
        if self.path is None:
            return labels
        return with_audio(labels, context.at(self.path), [
            f"{folder}/{{genre}}/{{id}}{suffix}".lstrip("/") for folder in FOLDERS for suffix in SUFFIXES
        ], self.url, genre=labels.tracks["id"].str.split(".").list.first())  # fmt: skip


def split() -> pl.DataFrame:
    """`id` and `part` of the clips of the fault-filtered split."""
    text = (files("timbrec.probes.shared") / "gtzan_filtered.csv").read_text(encoding="utf-8")
    return pl.read_csv(text.encode(), comment_prefix="#")
