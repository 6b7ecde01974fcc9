"""Feature files of Music4All-Onion: the study's MFCC, and any other `id_<feature>.tsv[.bz2]`."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from timbrec.encoders.shared import bibliography
from timbrec.encoders.shared.precomputed import Precomputed
from timbrec.encoders.weights.reading import weights_file
from timbrec.errors import ConfigError, DataError
from timbrec.protocols import EncoderCard, WeightsFile

ID = re.compile(r"[0-9A-Za-z]{16}")
FILE = re.compile(r"id_(.+?)\.tsv(\.bz2)?")
STUDY = "mfcc_stats"


class MFCCOnion(Precomputed):
    """104 values: Music4All-Onion's MFCC statistics, 13 means and 91 covariances, which the study used.

    `weights`: the file id_mfcc_stats.tsv or .tsv.bz2, its folder, or another id_<feature>.tsv[.bz2], which is then
    named `onion-<feature>`. Nothing is computed from audio. Covariances are much larger than means: standardise before
    taking cosines.
    """

    card = EncoderCard(
        name="mfcc-onion",
        revision="Zenodo 6609677",
        rate=0,
        window=0.0,
        dim=104,
        licence_code="none needed",
        licence_weights="CC-BY-NC-SA-4.0 (the vectors)",
        commercial=False,
        trained_on="nothing",
        citation="Moscati et al., Music4All-Onion: a large-scale multi-faceted content-centric music recommendation "
        "dataset, CIKM 2022",
        bibtex=bibliography.ONION,
        time="none: vectors of tracks",
    )

    @classmethod
    def check_weights(cls, weights: Path | str | None) -> list[WeightsFile]:
        """An empty list: nothing is downloaded. Raises ConfigError for missing vectors."""
        weights_file(_find(weights))
        return []

    def __init__(self, weights: Path | str | None = None, device: str = "cpu") -> None:
        path = _find(weights)
        super().__init__(path, columns={"vector": "*"})
        self._path = path
        if len(others := self.vectors.ids.filter(~self.vectors.ids.str.contains(f"^{ID.pattern}$"))):
            raise DataError(
                f"{path}: some ids are not Music4All's, which have 16 letters and digits",
                count=len(others),
                example=others[0],
                fix="Give a file id_<feature>.tsv.bz2 of Music4All-Onion, or read yours as plain vectors.",
            )
        match = FILE.fullmatch(path.name)
        feature = match[1] if match else path.name.partition(".")[0]
        name = MFCCOnion.card.name if feature == STUDY else f"onion-{feature}"
        self.card = replace(
            MFCCOnion.card, name=name, dim=self.vectors.dim, revision=f"{feature} {self.vectors.digest[:12]}"
        )


def _find(weights: Path | str | None) -> Path:
    if weights is None:
        raise ConfigError(
            "mfcc-onion needs a file of vectors",
            fix=f"Get id_{STUDY}.tsv.bz2 of Music4All-Onion (zenodo.org/records/6609677) and give its path.",
        )
    path = Path(weights)
    if not path.is_dir():
        return path
    names = (f"id_{STUDY}.tsv", f"id_{STUDY}.tsv.bz2")
    file = next((path / name for name in names if (path / name).exists()), None)
    if file is None:
        raise ConfigError(f"there are no vectors of mfcc-onion in {path}", fix=f"Looked for {', '.join(names)}.")
    return file
