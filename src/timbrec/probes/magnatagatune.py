"""MagnaTagATune: the 50 most frequent tags of 29 s clips."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import polars as pl

from timbrec.data.tables import open_table
from timbrec.data.text import TextForm
from timbrec.errors import DataError
from timbrec.probes.shared.audio import with_audio
from timbrec.probes.shared.base import Context, Probe, find_file
from timbrec.probes.shared.labels import Labels
from timbrec.probes.shared.one_hot import PARTS, read_jukemir, tag_matrix

TAGS = 50
FOLDERS = {"train": "0123456789ab", "validation": "c", "test": "def"}  # 12 : 1 : 3


@dataclass(frozen=True)
class MagnaTagATune(Probe):
    """Top 50 tags of 25,863 clips, by folder: 0 to b train, c validation, d to f test (12:1:3).

    `split: all` takes every clip of these folders (18,706 / 1,825 / 5,329 without three broken files); `split: tagged`,
    the one of most papers, only clips with at least one of the tags (15,247 / 1,529 / 4,332). Most test artists are in
    train, which is counted. Ids are numbers of clips. `path` is the folder of `annotations_final.csv` (and of
    `clip_info_final.csv` for artists), or of jukemir's `magnatagatune.json.gz`; `audio` the folder with `0/....mp3`.
    """

    path: Path = Path("magnatagatune")
    split: Literal["all", "tagged"] = "all"
    audio: Path | None = None

    data: ClassVar[str] = "MagnaTagATune"
    licence: ClassVar[str] = "CC BY-NC-SA"
    citation: ClassVar[str] = "Law et al.: Evaluation of algorithms using games: the case of music tagging. ISMIR 2009"
    url: ClassVar[str] = "https://mirg.city.ac.uk/codeapps/the-magnatagatune-dataset"

    def labels(self, context: Context) -> Labels:
        """The top 50 tags of the clips of the split."""
        folder = context.at(self.path)
        path = find_file(folder, ("annotations_final.csv", "magnatagatune.json"), self.url)
        labels = _of_jukemir(path) if ".json" in path.name else _official(path, folder)
        if self.split == "tagged":
            labels = labels.of(np.asarray(labels.values.any(1)))
        if self.audio is None:
            return Labels(labels.tracks.drop("mp3"), labels.kind, labels.values, labels.names, labels.remarks)
        return with_audio(labels, context.at(self.audio), ["{mp3}"], self.url)


def _official(path: Path, folder: Path) -> Labels:
    table = open_table(path, TextForm("\t"))
    missing = {"clip_id", "mp3_path"} - set(table.names)
    if missing:
        raise DataError(f"{path} has no column {min(missing)!r}", example=table.names[:3], fix="Get the file again.")
    rows = table.read(table.names)
    tags = [name for name in table.names if name not in ("clip_id", "mp3_path")]
    counts = rows.select(pl.col(tags).cast(pl.Int64)).sum().row(0)
    names = sorted(sorted(tags), key=lambda tag: -counts[tags.index(tag)])[:TAGS]
    tracks = rows.select(id=pl.col("clip_id").cast(pl.String), mp3=pl.col("mp3_path").cast(pl.String))
    info = folder / "clip_info_final.csv"
    if info.is_file():
        artists = open_table(info, TextForm("\t")).read(["clip_id", "artist"])
        known = artists.select(id=pl.col("clip_id").cast(pl.String), artist=pl.col("artist").cast(pl.String))
        tracks = tracks.join(known.unique("id"), on="id", how="left", maintain_order="left")
    values = rows.select(pl.col(names).cast(pl.Int64)).to_numpy().astype(bool)
    return _in_parts(tracks, values, tuple(names))


def _of_jukemir(path: Path) -> Labels:
    clips = list(read_jukemir(path).values())
    names = sorted({tag for clip in clips for tag in clip["y"] or ()})
    tracks = pl.DataFrame(
        {
            "id": [clip["extra"]["clip_id"] for clip in clips],
            "mp3": [clip["extra"]["mp3_path"] for clip in clips],
            "artist": [clip["extra"]["artist"] for clip in clips],
            "part": [PARTS[clip["split"]] for clip in clips],
        },
        schema=dict.fromkeys(("id", "mp3", "artist", "part"), pl.String),
    )
    return Labels(tracks, "tags", tag_matrix([clip["y"] or () for clip in clips], names), tuple(names))


def _in_parts(tracks: pl.DataFrame, values: np.ndarray, names: tuple[str, ...]) -> Labels:
    """The clips in parts by the first letter of their folder."""
    part = {letter: name for name, letters in FOLDERS.items() for letter in letters}
    parts = tracks["mp3"].str.slice(0, 1).replace_strict(part, default=None)
    if len(other := tracks["mp3"].filter(parts.is_null())):
        raise DataError("some clips are in no folder from 0 to f", count=len(other), example=other[0])
    return Labels(tracks.with_columns(part=parts), "tags", values, names)
