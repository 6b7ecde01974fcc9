"""EmoMusic: arousal and valence of 45 s clips."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import polars as pl

from timbrec.data.tables import open_table
from timbrec.probes.shared.audio import with_audio
from timbrec.probes.shared.base import Context, Probe, find_file
from timbrec.probes.shared.labels import Labels
from timbrec.probes.shared.one_hot import PARTS, read_jukemir

OUTPUTS = ("arousal", "valence")


@dataclass(frozen=True)
class EmoMusic(Probe):
    """Arousal and valence of 744 clips; R2 is the mean of both unless `target` is one of them.

    `path` is the folder of jukemir's `emomusic.json.gz`, whose split (504 / 115 / 125 clips) papers use, although 43 of
    the 112 test artists are in train; or of `static_annotations.csv` (song_id, mean_arousal, mean_valence), also in a
    folder `annotations`, which has no split. Ids are numbers of songs; audio is `clips_45seconds/2.mp3` in the folder
    `audio`.
    """

    path: Path = Path("emomusic")
    target: Literal["both", "arousal", "valence"] = "both"
    audio: Path | None = None

    data: ClassVar[str] = "EmoMusic"
    licence: ClassVar[str] = "annotations for research; audio Creative Commons by track (Free Music Archive)"
    citation: ClassVar[str] = "Soleymani et al.: 1000 songs for emotional analysis of music. CrowdMM 2013"
    url: ClassVar[str] = "https://cvml.unige.ch/databases/emoMusic/"

    def labels(self, context: Context) -> Labels:
        """The numbers of each song."""
        names = ("emomusic.json", "static_annotations.csv", "annotations/static_annotations.csv")
        path = find_file(context.at(self.path), names, self.url)
        labels = _of_jukemir(path) if ".json" in path.name else _official(path)
        if self.target != "both":
            place = OUTPUTS.index(self.target)
            labels = Labels(labels.tracks, "numbers", labels.values[:, [place]], (self.target,))
        if self.audio is None:
            return labels
        return with_audio(labels, context.at(self.audio), ["clips_45seconds/{id}.mp3", "{id}.mp3"], self.url)


def _of_jukemir(path: Path) -> Labels:
    clips = read_jukemir(path)
    tracks = pl.DataFrame({
        "id": [str(int(uid)) for uid in clips],
        "artist": [clip["clip"]["audio_uid"][0] for clip in clips.values()],
        "part": [PARTS[clip["split"]] for clip in clips.values()],
    })  # fmt: skip
    return Labels(tracks, "numbers", np.array([clip["y"] for clip in clips.values()], float), OUTPUTS)


def _official(path: Path) -> Labels:
    rows = open_table(path).read(["song_id", "mean_arousal", "mean_valence"])
    tracks = rows.select(id=pl.col("song_id").cast(pl.String))
    numbers = rows.select(pl.col("mean_arousal", "mean_valence").cast(pl.Float64, strict=False))
    return Labels(tracks, "numbers", numbers.to_numpy(), OUTPUTS)
