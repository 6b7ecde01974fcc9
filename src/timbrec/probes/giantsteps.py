"""GiantSteps: the key of electronic dance music, trained on the MTG set and tested on the original one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import polars as pl

from timbrec.data.faults import readable
from timbrec.errors import DataError
from timbrec.probes.shared.audio import with_audio
from timbrec.probes.shared.base import Context, Probe, find_file
from timbrec.probes.shared.labels import Labels
from timbrec.probes.shared.metrics import KEYS, key_number
from timbrec.probes.shared.one_hot import PARTS, read_jukemir


@dataclass(frozen=True)
class GiantSteps(Probe):
    """The key of clips of 30 s, by mir_eval's weighted score; test tracks are those of the original set, as in papers.

    `path` is the folder of jukemir's `giantsteps_clips.json.gz` (3,687 / 942 / 2,406 clips, ids `0005061-0`), or of
    `giantsteps-mtg-key-dataset` and `giantsteps-key-dataset`, each with `annotations/key/*.key` (ids are file names
    without suffix; a fifth of the MTG set is validation). Clips of one track are one example of intervals. `audio` is a
    folder with `{id}.wav` or `{id}.mp3`.
    """

    path: Path = Path("giantsteps")
    audio: Path | None = None

    data: ClassVar[str] = "GiantSteps"
    licence: ClassVar[str] = "annotations CC BY-NC-SA 4.0; audio previews of Beatport"
    citation: ClassVar[str] = "Knees et al.: Two data sets for tempo estimation and key detection. ISMIR 2015"
    url: ClassVar[str] = "https://github.com/GiantSteps/giantsteps-key-dataset"

    def labels(self, context: Context) -> Labels:
        """The key of each clip."""
        folder = context.at(self.path)
        if (folder / "giantsteps-key-dataset").is_dir():
            keys, tracks = _official(folder, self.seed, self.url)
        else:
            keys, tracks = _of_jukemir(find_file(folder, ("giantsteps_clips.json",), self.url))
        numbers = [key_number(name) for name in keys]
        known = np.array([number is not None for number in numbers])
        remarks = (f"{int((~known).sum()):,} clips have no key of the 24",) if not known.all() else ()
        values = np.array([number for number in numbers if number is not None])
        labels = Labels(tracks.filter(pl.Series(known)), "key", values, KEYS, remarks)
        if self.audio is None:
            return labels
        return with_audio(labels, context.at(self.audio), ["{id}.wav", "{id}.mp3"], self.url)


def _of_jukemir(path: Path) -> tuple[list[str], pl.DataFrame]:
    clips = read_jukemir(path)
    tracks = pl.DataFrame({
        "id": list(clips),
        "artist": [str(clip["clip"]["audio_uid"]) for clip in clips.values()],  # clips of one track belong together
        "part": [PARTS[clip["split"]] for clip in clips.values()],
    })  # fmt: skip
    return [str(clip["y"]) for clip in clips.values()], tracks


def _official(folder: Path, seed: int, url: str) -> tuple[list[str], pl.DataFrame]:
    keys, ids, parts = [], [], []
    for name in ("giantsteps-mtg-key-dataset", "giantsteps-key-dataset"):
        files = sorted((folder / name / "annotations" / "key").glob("*.key"))
        if not files:
            raise DataError(f"{folder / name} has another layout: no annotations/key/*.key", fix=f"Get it from {url}.")
        held_out = np.random.default_rng(seed).permutation(len(files)) < len(files) // 5
        for path, validation in zip(files, held_out, strict=True):
            with readable(path):
                keys.append(path.read_text(encoding="utf-8").split("\t")[0].strip())
            ids.append(path.stem)
            parts.append("test" if "mtg" not in name else "validation" if validation else "train")
    return keys, pl.DataFrame({"id": ids, "part": parts})
