"""A model from a folder of music alone: vectors of a default encoder, and KNN on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from timbrec.audio import Windows
from timbrec.data.events import make_events
from timbrec.data.interactions import Interactions
from timbrec.data.vocabulary import Vocabulary
from timbrec.embed import Output, embed_all
from timbrec.encoders import check_weights, find, load, located
from timbrec.errors import ConfigError, DataError
from timbrec.histories import Matched, library
from timbrec.models.catalogue import catalogue_of
from timbrec.models.fits import all_plays, facts_of
from timbrec.models.folder import VECTORS, check_place
from timbrec.models.histories import matched_history
from timbrec.models.model import Model
from timbrec.protocols import Content
from timbrec.recommenders import recommender
from timbrec.store import Subset, VectorStore
from timbrec.study.representation import Representation, Source
from timbrec.types import Progress

ENCODERS = ("musicnn-msd", "mfcc")  # in order of preference; both may be used commercially
RECOMMENDER = "knn"


@dataclass(frozen=True, eq=False)
class FromMusic:
    """A model of a folder of music, with the files (id, path, reason, fix) that have no vector, and the matched plays.

    `matched` is None without a history.
    """

    model: Model
    failures: pl.DataFrame
    duplicates: pl.DataFrame
    matched: Matched | None


def default_encoder() -> tuple[str, str]:
    """The first of ENCODERS with installed weights, and a sentence that says why it was chosen."""
    passed: list[str] = []
    for name in ENCODERS:
        try:
            installed = not check_weights(name)
        except ConfigError:
            installed = False
        if installed:
            card = find(name).card
            licence = f"its licence ({card.licence_weights}) allows any use" if card.parameters else "it has no weights"
            return name, f"{licence}, and it is installed{'; ' + passed[0] + ' is not' if passed else ''}"
        passed.append(name)
    raise ConfigError("no default encoder is installed", fix="Name one with --encoder; `timbrec list` shows them.")


def fit_music(
    folder: Path | str,
    out: Path | str,
    *,
    encoder: str | None = None,
    weights: Path | str | None = None,
    history: Sequence[Path | str] | Path | str = (),
    time_zone: str | None = None,
    ids: str | None = None,
    device: str = "auto",
    progress: Progress | None = None,
) -> FromMusic:
    """Encode a folder of music into a model at `out`, which is saved; an interrupted call resumes.

    KNN scales by all tracks of the folder, which describe it better than the few that one person played. `weights` are
    those of `encoder`: a file, a folder or a name of the hub. `history` are exports of plays (see
    `histories.read_history`; `time_zone` is the zone of times without one) or tables of track ids, which are matched
    before anything is encoded. Raises DataError for a folder without readable audio, and for a history that matches
    nothing; ConfigError for weights without an encoder.
    """
    if weights is not None and encoder is None:
        raise ConfigError("weights were given without their encoder", example=str(weights), fix="Name it: --encoder.")
    folder, out = Path(folder), Path(out)
    check_place(out)
    plays = [Path(path) for path in ([history] if isinstance(history, Path | str) else history)]
    tags = library(folder, ids, progress)
    matched = matched_history(plays, catalogue_of(tags["track"], tags), time_zone) if plays else None
    name, why = (located(encoder, Path.cwd()), "it was asked for") if encoder else default_encoder()
    store = out / VECTORS / _folder_name(name)
    weights = _lasting(weights)
    output = Output(load(name, weights, device), store, Windows())
    report = embed_all(folder, [output], ids=ids, progress=progress)
    if len(report.failures) == len(report.tracks):
        first = report.failures.row(0, named=True)
        raise DataError(f"no file of {folder} could be encoded", count=len(report.failures),
                        example=f"{first['path']}: {first['reason']}", fix=first["fix"])  # fmt: skip
    source = Subset(VectorStore.open(store), report.tracks)
    catalogue = _catalogue(source, tags, folder, VectorStore.open(store).tracks)
    matched = None if matched is None else matched.among(catalogue["track"])
    model = _fitted(source, catalogue, matched, name, weights, why, output)
    model.save(out)
    return FromMusic(model, report.failures, report.duplicates, matched)


def _fitted(
    source: Subset,
    catalogue: pl.DataFrame,
    matched: Matched | None,
    name: str,
    weights: str | None,
    why: str,
    output: Output,
) -> Model:
    vectors = source.aligned(catalogue["track"])
    knn = recommender(RECOMMENDER, {})
    everything = pl.DataFrame({"user": 0, "item": np.arange(len(catalogue)), "plays": 1})
    scorer: Any = knn.fit(
        Interactions.of(everything, 1, len(catalogue)), Content(vectors), None, np.random.default_rng(0)
    )
    users, played = _plays(matched, catalogue)
    scorer = replace(scorer, users=scorer.user_vectors(played) if len(users) else scorer.users[:0])
    representation = Representation(name, (Source(source.digest, name, None, "mean", "spread"),))
    windows = output.windows
    card = facts_of(RECOMMENDER, knn, 0, representation) | {
        "name": "music",
        "encoder": name,
        "label": RECOMMENDER,
        "fitted on": "all",
        "plays": int(played.plays.sum()),
        "pairs": len(played),
        "why": why,
        "remarks": ["KNN, standardised: it needs neither training nor plays."],
        "encoders": [
            {
                "name": _folder_name(name), "audio": True, "encoder": name, "weights": weights, "options": {},
                "layer": None, "pool": "mean", "windows": windows.policy, "count": windows.count,
            }
        ],
    }  # fmt: skip
    return Model.of(scorer, users, catalogue, played, card, stores={_folder_name(name): source})


def _catalogue(source: Subset, tags: pl.DataFrame, folder: Path, files: pl.DataFrame) -> pl.DataFrame:
    """The catalogue of the tracks with vectors: tags, and the path and audio of the store."""
    ids = source.ids.sort()
    table = tags.drop("path").join(files.select(track="id", path="path", audio="audio"), on="track", how="left")
    return catalogue_of(ids, table)


def _plays(matched: Matched | None, catalogue: pl.DataFrame) -> tuple[Vocabulary, Interactions]:
    if matched is None:
        empty = np.empty(0, np.int64)
        return Vocabulary([]), Interactions(empty, empty, empty, None, 0, len(catalogue))
    time = [] if matched.pairs["time"].is_null().any() else ["time"]
    events = make_events(matched.pairs.select("user", "plays", *time, item="track"))
    return all_plays(events.restricted_to(Vocabulary(catalogue["track"])))


def _lasting(weights: Path | str | None) -> str | None:
    """Weights as `add` finds them later from any folder: an absolute path, or a name of the hub."""
    return None if weights is None else str(Path(weights).resolve()) if Path(weights).exists() else str(weights)


def _folder_name(encoder: str) -> str:
    """The name of the store's folder: that of the encoder, or of a user's own class."""
    return encoder.rpartition(":")[2]
