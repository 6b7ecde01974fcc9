"""Adding audio to a model on disk: encoded, appended, and searchable at once, without another fit."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from filelock import Timeout

from timbrec.audio import Windows
from timbrec.audio.tags import read_tags
from timbrec.embed import Output, Track, embed_all, list_tracks
from timbrec.embed.report import EmbedReport
from timbrec.embed.tracks import check_local
from timbrec.encoders import load
from timbrec.errors import CannotRankError, ConfigError, DataError
from timbrec.histories.library import names_of
from timbrec.models.folder import LOCK, VECTORS, add_to_folder
from timbrec.models.model import Model
from timbrec.places.locks import lock
from timbrec.store import VectorStore
from timbrec.types import Progress

_MOST = 0.1  # share of the catalogue that may be additions before the model is written as a whole


@dataclass(frozen=True, eq=False)
class Added:
    """The model with added audio, and the outcome for each file.

    `added` (id, path) are new tracks. `present` (path, same_as) are files with audio that the model has already, under
    this or another name, or that repeat another new file. `failures` (path, reason, fix) are files without a vector.
    """

    model: Model
    added: pl.DataFrame
    present: pl.DataFrame
    failures: pl.DataFrame


def add_audio(
    folder: Path | str,
    audio: Sequence[Path | str] | Path | str,
    device: str = "auto",
    progress: Progress | None = None,
    *,
    weights: Path | str | None = None,
) -> Added:
    """Add audio files, or folders of them, to the model in `folder`.

    Ids are the files' names without suffix; where the model has such an id, the name of the file's folder goes before
    it. Files that cannot be encoded are listed, the others are added. `weights` replace the place of the encoder's
    weights that the model remembers, for a model of one encoder. Raises CannotRankError for a model with vectors that
    were not made of audio here, and for recommenders that cannot add tracks; DataError if there is no such file, if
    another process is adding, and if the disk is full, after which the model is as it was.
    """
    folder, paths = Path(folder), [audio] if isinstance(audio, Path | str) else audio
    with _alone(folder):
        model = Model.load(folder)
        encoders = _with_weights(_encoders(model), weights)
        tracks = _named(_files(paths), model)
        for entry in encoders:
            _check_store(folder, entry["name"], model)
        outputs = [_output(entry, folder, device) for entry in encoders]
        report = _encoded(tracks, outputs, progress)
        known, new, present = _sorted(tracks, model, VectorStore.open(outputs[0].store).tracks, report)
        if len(new):
            model = _grown(model, folder, new, [VectorStore.open(output.store) for output in outputs])
        failures = report.failures.select("path", "reason", "fix")
        return Added(model, new.select("id", "path"), pl.concat([known, present]), failures)


def _check_store(folder: Path, name: str, model: Model) -> None:
    """Raise StoreError for a missing or changed store, which would begin anew or grow, DataError if it lacks tracks."""
    store = VectorStore.open(folder / VECTORS / name)
    store.verify()
    held = store.ids
    lacking = model.catalogue["track"].filter(~model.catalogue["track"].is_in(held.implode()))
    if len(lacking):
        raise DataError(f"the vectors of {name!r} lack tracks of the model", count=len(lacking), example=lacking[0],
                        fix="A file of the store was lost or is an earlier one: fit the model again.")  # fmt: skip


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the lock of a model's folder. Raises DataError if another process holds it."""
    if not folder.is_dir():
        raise DataError(f"{folder} holds no model", fix="Name a folder that `timbrec fit` wrote.")
    try:
        held = lock(folder / LOCK, blocking=False)
    except Timeout:
        raise DataError(f"another command is adding to {folder}", fix="Wait for it, then repeat this one.") from None
    except OSError as error:
        raise DataError(
            f"cannot write into {folder}: {error.strerror}", fix="Check the space and the permissions."
        ) from error
    try:
        yield
    finally:
        held.release()


def _encoders(model: Model) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = model.card.get("encoders") or []
    if not entries or not all(entry["audio"] for entry in entries):
        names = ", ".join(entry["name"] for entry in entries if not entry["audio"])
        raise CannotRankError(
            f"this model cannot encode audio: its vectors {f'({names}) ' if names else ''}came without an encoder",
            fix="Add vectors in Python: Model.add_items.",
        )
    return entries


def _with_weights(encoders: list[dict[str, Any]], weights: Path | str | None) -> list[dict[str, Any]]:
    if weights is None:
        return encoders
    if len(encoders) > 1:
        names = ", ".join(entry["name"] for entry in encoders)
        raise ConfigError(f"the model has several encoders ({names}), and weights were given for one",
                          fix="Put the weights where the model was fitted from.")  # fmt: skip
    return [encoders[0] | {"weights": str(weights)}]


def _files(audio: Sequence[Path | str]) -> list[Path]:
    """All files, also inside the folders, absolute and distinct. Raises DataError for a path that does not exist."""
    files: list[Path] = []
    for path in map(check_local, audio):
        if not path.exists():
            raise DataError(f"{path} does not exist", fix="Check the path.")
        files += [track.path for track in list_tracks(path, distinct=False).tracks] if path.is_dir() else [path]
    return list(dict.fromkeys(file.absolute() for file in files))


def _named(files: Sequence[Path], model: Model) -> list[Track]:
    """The files with ids that neither the model nor another of the files has."""
    known = dict(model.catalogue.select("track", "path").iter_rows())
    taken: dict[str, Path] = {}
    for file in files:
        forms = [file.stem, f"{file.parent.name}/{file.stem}", str(file.with_suffix(""))]
        free = [form for form in forms if form not in taken and known.get(form, str(file)) == str(file)]
        taken[free[0] if free else str(file)] = file
    return [Track(name, path) for name, path in taken.items()]


def _output(entry: dict[str, Any], folder: Path, device: str) -> Output:
    encoder = load(entry["encoder"], entry["weights"], device, **entry["options"])
    store = folder / VECTORS / entry["name"]
    return Output(encoder, store, Windows(entry["windows"], entry["count"]), entry["layer"], entry["pool"])


def _encoded(tracks: Sequence[Track], outputs: Sequence[Output], progress: Progress | None) -> EmbedReport:
    with tempfile.TemporaryDirectory() as folder:
        manifest = Path(folder) / "audio.parquet"
        rows = {"id": [track.id for track in tracks], "path": [str(track.path) for track in tracks]}
        pl.DataFrame(rows).write_parquet(manifest)
        return embed_all(manifest, outputs, progress=progress)


def _sorted(
    tracks: Sequence[Track], model: Model, files: pl.DataFrame, report: EmbedReport
) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Files with audio that the model has, new tracks, and files that repeat a new track."""
    mine = pl.DataFrame({"id": [track.id for track in tracks]}, {"id": pl.String})
    encoded = mine.join(files, on="id", how="inner", maintain_order="left")
    failed = report.failures["path"].to_list()
    encoded = encoded.filter(~pl.col("path").is_in(failed))
    has = model.catalogue.select("audio", same_as="track").drop_nulls("audio").unique("audio", keep="first")
    known = encoded.join(has, on="audio", how="inner", maintain_order="left").select("path", "same_as")
    rest = encoded.join(has, on="audio", how="anti", maintain_order="left")
    rest = (
        rest.with_columns(same_as=pl.col("id").first().over("audio")) if len(rest) else rest.with_columns(same_as="id")
    )
    new, repeated = rest.filter(pl.col("id") == pl.col("same_as")), rest.filter(pl.col("id") != pl.col("same_as"))
    return known, new, repeated.select("path", "same_as")


def _grown(model: Model, folder: Path, new: pl.DataFrame, stores: Sequence[VectorStore]) -> Model:
    """The model with new tracks, in memory and on disk."""
    vectors = np.concatenate([store.aligned(new["id"]) for store in stores], axis=1)
    grown = model.add_items(new["id"].to_list(), vectors, _tags(new))
    before = len(model.items)
    additions = len(model.index.added) + len(new) if model.index is not None else len(new)
    if _moved(model, grown) or additions > max(1_000, _MOST * before):
        grown.save(folder)
        return Model.load(folder)
    rows = grown.catalogue[before:].with_columns(recording=pl.Series(grown.recording[before:]))
    items = (
        np.empty((len(new), 0), np.float32)
        if grown.index is None
        else grown.index.vectors(np.arange(before, before + len(new)))
    )
    add_to_folder(folder, model.content(vectors), items, rows)
    return grown


def _moved(model: Model, grown: Model) -> bool:
    """Whether new tracks changed the vectors of users or of earlier tracks, as in recommenders with two read-outs."""
    if model.index is None or grown.index is None:
        return model.index is not grown.index
    rows = np.arange(min(len(model.index), 64))
    same = np.array_equal(model.index.vectors(rows), grown.index.vectors(rows))
    return not (same and np.array_equal(model.index.users[:64], grown.index.users[:64]))


def _tags(new: pl.DataFrame) -> pl.DataFrame:
    """The tags of the files; artist and title from the name of a file without tags."""
    rows = []
    for track, path, audio in new.select("id", "path", "audio").iter_rows():
        tags = read_tags(path)
        facts = {} if tags is None else tags._asdict()
        if not facts.get("artist") and not facts.get("title"):
            artist, title = names_of(Path(path).stem)
            facts |= {"artist": artist, "title": title}
        rows.append(facts | {"track": track, "path": path, "audio": audio})
    return pl.DataFrame(rows, infer_schema_length=None)
