"""Tags of the Million Song Dataset: the 50 most frequent of Last.fm's, in the lists of musicnn-training."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import polars as pl

from timbrec.data.tables import open_table
from timbrec.data.text import TextForm
from timbrec.errors import DataError
from timbrec.probes.shared.audio import with_audio
from timbrec.probes.shared.base import Context, Probe, find_file
from timbrec.probes.shared.labels import Labels

PARTS = {"train": "train", "val": "validation", "test": "test"}


@dataclass(frozen=True)
class MSDTags(Probe):
    """Top 50 tags in the split of the tagging papers, as lists of github.com/jordipons/musicnn-training.

    `path` is the folder of `train_gt_msd.tsv`, `val_gt_msd.tsv` and `test_gt_msd.tsv` (id, tab, a list of 0 and 1),
    `index_msd.tsv` (id, tab, path of the audio) and, for the names of tags, `tags.txt` with a tag on each line. The
    audio of the data set is not public; the same files with the suffix `mtt` hold MagnaTagATune.
    """

    path: Path = Path("msd")
    suffix: str = "msd"
    audio: Path | None = None

    data: ClassVar[str] = "Million Song Dataset"
    licence: ClassVar[str] = "metadata for research; no audio"
    citation: ClassVar[str] = "Bertin-Mahieux et al.: The Million Song Dataset. ISMIR 2011; tags of Last.fm"
    url: ClassVar[str] = "https://github.com/jordipons/musicnn-training"

    def labels(self, context: Context) -> Labels:
        """The tags of the tracks of the split."""
        folder = context.at(self.path)
        tables = []
        for name, part in PARTS.items():
            path = find_file(folder, (f"{name}_gt_{self.suffix}.tsv",), self.url)
            tables.append(_pairs(path).with_columns(part=pl.lit(part)))
        rows = pl.concat(tables)
        lists = (
            rows["value"]
            .str.strip_chars("[] ")
            .str.split(",")
            .list.eval(pl.element().str.strip_chars().cast(pl.Float64))
        )
        if lists.list.len().n_unique() > 1:
            raise DataError(f"{folder}: tracks have lists of different lengths", example=rows["id"][0])
        values = lists.cast(pl.Array(pl.Float64, lists.list.len()[0])).to_numpy() > 0.5
        listed = folder / "tags.txt"
        names = listed.read_text(encoding="utf-8").split("\n") if listed.is_file() else []
        names = [name.strip() for name in names if name.strip()] or [f"tag {place}" for place in range(values.shape[1])]
        if len(names) != values.shape[1]:
            raise DataError(f"{listed} has {len(names)} tags, the lists {values.shape[1]}")
        labels = Labels(rows.select("id", "part"), "tags", values, tuple(names))
        if self.audio is None:
            return labels
        index = _pairs(find_file(folder, (f"index_{self.suffix}.tsv",), self.url))
        mp3 = rows.join(index, on="id", how="left", maintain_order="left")["value_right"]
        return with_audio(labels, context.at(self.audio), ["{mp3}"], self.url, mp3=mp3)


def _pairs(path: Path) -> pl.DataFrame:
    table = open_table(path, TextForm("\t", header=False, quotes=False))
    if len(table.names) != 2:
        raise DataError(f"{path} has {len(table.names)} columns, not 2", fix="It should have an id, a tab and a value.")
    rows = table.read(table.names)
    return rows.select(id=pl.col(table.names[0]).cast(pl.String), value=pl.col(table.names[1]).cast(pl.String))
