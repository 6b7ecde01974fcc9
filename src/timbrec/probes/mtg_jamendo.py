"""MTG-Jamendo: four sets of tags with official splits."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import polars as pl

from timbrec.data.faults import readable
from timbrec.errors import DataError
from timbrec.probes.shared.audio import with_audio
from timbrec.probes.shared.base import Context, Probe, find_file
from timbrec.probes.shared.labels import Labels
from timbrec.probes.shared.one_hot import tag_matrix

COLUMNS = ["TRACK_ID", "ARTIST_ID", "ALBUM_ID", "PATH", "DURATION", "TAGS"]


@dataclass(frozen=True)
class MTGJamendo(Probe):
    """Tags of full songs: genre (87 tags), instrument (40), moodtheme (56) or top50tags, in official splits 0 to 4.

    Splits are by artist. Ids are `track_0003524`. `path` is a clone of github.com/MTG/mtg-jamendo-dataset, or its
    folder `data`; `audio` the folder with `24/3524.mp3` or `24/3524.low.mp3`.
    """

    path: Path = Path("mtg-jamendo-dataset")
    subset: Literal["genre", "instrument", "moodtheme", "top50tags"] = "moodtheme"
    split: Literal[0, 1, 2, 3, 4] = 0
    audio: Path | None = None

    data: ClassVar[str] = "MTG-Jamendo"
    licence: ClassVar[str] = "metadata CC BY-NC-SA 4.0, audio Creative Commons by track"
    citation: ClassVar[str] = "Bogdanov et al.: The MTG-Jamendo dataset for automatic music tagging. ICML 2019 workshop"
    url: ClassVar[str] = "https://github.com/MTG/mtg-jamendo-dataset"

    def labels(self, context: Context) -> Labels:
        """The tags of the tracks of the split."""
        folder = context.at(self.path)
        rows: list[list[str]] = []
        parts: list[str] = []
        for part in ("train", "validation", "test"):
            name = f"splits/split-{self.split}/autotagging_{self.subset}-{part}.tsv"
            read = _read(find_file(folder, (f"data/{name}", name), self.url))
            rows += read
            parts += [part] * len(read)
        names = sorted({tag for row in rows for tag in row[5:] if tag})
        tracks = pl.DataFrame(
            {"id": [row[0] for row in rows], "artist": [row[1] for row in rows], "part": parts,
             "mp3": [row[3] for row in rows]},
            schema=dict.fromkeys(("id", "artist", "part", "mp3"), pl.String),
        )  # fmt: skip
        labels = Labels(tracks, "tags", tag_matrix([row[5:] for row in rows], names), tuple(names))
        if self.audio is None:
            return Labels(tracks.drop("mp3"), "tags", labels.values, labels.names)
        low = tracks["mp3"].str.replace(r"\.mp3$", ".low.mp3")
        return with_audio(labels, context.at(self.audio), ["{mp3}", "{low}"], self.url, low=low)


def _read(path: Path) -> list[list[str]]:
    """The rows: six columns or more, a tag in each from the sixth on; lines may end in CR LF."""
    with readable(path):
        lines = path.read_text(encoding="utf-8").splitlines()
    if not lines or lines[0].split("\t") != COLUMNS:
        raise DataError(f"{path} has another header", example=lines[0] if lines else None,
                        fix=f"It should have {' '.join(COLUMNS)}, separated by tabs.")  # fmt: skip
    rows = [line.split("\t") for line in lines[1:] if line]
    if short := [row for row in rows if len(row) < len(COLUMNS)]:
        raise DataError(f"{path}: some rows have fewer than six columns", count=len(short), example=short[0][0])
    return rows
