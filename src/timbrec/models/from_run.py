"""A model from a run: the combination of one cell, fitted on all data or on the run's train part."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import polars as pl

from timbrec.data.interactions import Interactions
from timbrec.errors import ConfigError, DataError, did_you_mean, listing
from timbrec.models.catalogue import catalogue_of
from timbrec.models.fits import all_plays, facts_of
from timbrec.models.model import Model
from timbrec.models.stores import whole_store
from timbrec.protocols import Content, Workspace
from timbrec.recommenders import recommender
from timbrec.store import VectorSource
from timbrec.study.changed_inputs import changed_inputs
from timbrec.study.config import Config
from timbrec.study.experiment import Experiment
from timbrec.study.fitting import validated
from timbrec.study.inputs import Inputs, load_inputs
from timbrec.study.logs import tracks_table
from timbrec.study.naming import line_name
from timbrec.study.representation import Representation
from timbrec.study.runs import Run
from timbrec.study.sources import encoder_name
from timbrec.types import Progress

On = Literal["all", "train"]


def chosen_experiment(run: Run, encoder: str | None, label: str | None) -> Experiment:
    """The finished cell of an encoder and a recommender (by its label) on real vectors, with the first seed.

    Without a recommender, the encoder must have one only; without an encoder, the recommender must be one without
    content, or the run have one encoder. Raises ConfigError for a combination that the run lacks, and for several.
    """
    cells = [cell for cell in run.finished if cell.kind == "ranking" and cell.is_real]
    known = {"encoder": {cell.encoder for cell in cells if cell.encoder}, "recommender": {cell.label for cell in cells}}
    for role, name in (("encoder", encoder), ("recommender", label)):
        if name is not None and name not in known[role]:
            raise ConfigError(
                f"the run has no finished cell of {role} {name!r}",
                fix=f"{did_you_mean(name, known[role])}It has: {listing(sorted(known[role]))}.",
            )
    chosen = [cell for cell in cells if label in (None, cell.label) and encoder in (None, cell.encoder)]
    if not chosen and label is not None:  # a recommender without content, which runs beside all encoders
        chosen = [cell for cell in cells if cell.label == label and cell.encoder is None]
    lines = {(cell.encoder, cell.label) for cell in chosen}
    if len(lines) != 1:
        names = sorted(line_name(*line) for line in lines)
        raise ConfigError(
            "several combinations of the run match" if lines else "no combination of the run matches",
            example=names[:3] or None,
            fix="Name an encoder and a recommender.",
        )
    return min(chosen, key=lambda cell: cell.seed)


def fit_experiment(
    run: Run,
    experiment: Experiment,
    config: Config,
    inputs: Inputs,
    on: On = "all",
    progress: Progress | None = None,
) -> Model:
    """The combination of an experiment, with the settings that validation chose, fitted on all plays of the catalogue.

    `inputs` are the inputs of the run (`inputs_of`). With `on="train"`, it is fitted on the run's train part: its lists
    are then the ones that the run ranked.
    """
    cell = run.read(experiment, [])
    settings = recommender(experiment.recommender, experiment.settings)
    fitted = recommender(experiment.recommender, experiment.settings | cell.chosen)
    users, played = (inputs.split.users, inputs.split.test.train) if on == "train" else all_plays(inputs.events)
    representation = experiment.representation
    vectors, steps = _vectors(representation, inputs, played)
    workspace = Workspace(progress=_renamed(progress), device=config.device)
    content = Content(vectors, inputs.artist_rows)
    if on == "train" and inputs.split.validation.train.digest == played.digest:  # then the run served this fit
        scorer = validated(settings, inputs.split, content, experiment.seed, workspace)
    else:
        scorer = fitted.fit(played, content, None, np.random.default_rng(experiment.seed), workspace)
    card = facts_of(experiment.recommender, fitted, experiment.seed, representation) | {
        "name": config.name,
        "run": str(run.location.resolve()),
        "encoder": experiment.encoder,
        "label": experiment.label,
        "version": experiment.version,
        "fitted on": on,
        "plays": int(played.plays.sum()),
        "pairs": len(played),
        "encoders": _encoders(representation, config),
    }
    catalogue = run_catalogue(inputs, config, representation)
    stores = {part.encoder: inputs.sources[part.encoder] for part in representation.sources} if representation else {}
    return Model.of(scorer, users, catalogue, played, card, steps, stores)


def inputs_of(run: Run, config: Config, progress: Progress | None = None) -> Inputs:
    """The inputs of a run, read again. Raises DataError if they have changed since the run ranked its lists."""
    inputs = load_inputs(config, progress)
    if changes := changed_inputs(run, inputs):
        raise DataError(
            f"the inputs of {run.location} have changed since its cells were ranked",
            example=changes[0],
            fix="Run the benchmark again, then fit.",
        )
    return inputs


def run_catalogue(inputs: Inputs, config: Config, representation: Representation | None) -> pl.DataFrame:
    """The catalogue of a run: its items table, then paths and audio hashes from the stores of encoded audio."""
    catalogue = catalogue_of(inputs.catalogue.ids, items_table(config))
    names = list(inputs.sources) if representation is None else [part.encoder for part in representation.sources]
    for name in [*names, *inputs.sources]:
        if len(files := audio_files(inputs.sources[name])):
            joined = catalogue.join(files, on="track", how="left", maintain_order="left", suffix="_file")
            return joined.with_columns(
                path=pl.coalesce("path", "path_file"), audio=pl.coalesce("audio", "audio_file")
            ).select(catalogue.columns)
    return catalogue


def audio_files(source: VectorSource) -> pl.DataFrame:
    """The tracks of a store of encoded audio (track, path, audio); empty for other vectors."""
    store = whole_store(source)
    if store is None:
        return pl.DataFrame(schema={"track": pl.String, "path": pl.String, "audio": pl.String})
    return store.tracks.select(pl.col("id").alias("track"), "path", "audio")


def items_table(config: Config) -> pl.DataFrame | None:
    """All columns of a config's items table, with the track's id as `track`; None without a table.

    The column of artists is also called `artist`, unless the table has a column of that name.
    """
    if (source := tracks_table(config)) is None:
        return _names(config)
    table, columns = source
    rows = table.read(table.names)
    item, artist = columns.get("item", "track_id"), columns.get("artist", "artist_id")
    rows = rows.with_columns(pl.col(str(item)).cast(pl.String).alias("track"))
    named = artist is None or {"artist", "artist_name"} & {*rows.columns}
    return rows if named else rows.with_columns(pl.col(str(artist)).alias("artist"))


def _names(config: Config) -> pl.DataFrame | None:
    """The items of a data set without artists of tracks, such as HetRec; None where their file is not there."""
    try:
        items = None if config.data is None else config.data.items()
    except DataError:
        return None
    return None if items is None else items.rename({"track_id": "track"})


def _vectors(
    representation: Representation | None, inputs: Inputs, played: Interactions
) -> tuple[Any, tuple[Any, ...]]:
    if representation is None:
        return np.zeros((len(inputs.catalogue), 1), np.float32), ()
    return representation.fitted(inputs.sources, inputs.catalogue, played.items)


def _encoders(representation: Representation | None, config: Config) -> list[dict[str, Any]]:
    """How each encoder of the representation makes vectors of audio; `audio` is False for vectors from files."""
    entries = []
    for source in representation.sources if representation is not None else ():
        entry = config.encoders[source.encoder]
        facts: dict[str, Any] = {"name": source.encoder, "audio": entry.audio is not None}
        if entry.audio is not None:
            weights = None if entry.weights is None else str(config.at(entry.weights).resolve())
            facts |= {
                "encoder": encoder_name(source.encoder, entry, config.base), "weights": weights,
                "options": entry.options,
                "layer": entry.layer, "pool": entry.pool, "windows": entry.windows, "count": entry.count,
            }  # fmt: skip
        entries.append(facts)
    return entries


def _renamed(progress: Progress | None) -> Progress | None:
    """A callback that reports the steps of a fit as `fitting`."""
    if progress is None:
        return None
    return lambda step, done, total: progress(f"fitting: {step}", done, total)
