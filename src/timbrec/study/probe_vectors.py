"""Vectors for the probes of a run: of its representations, of files, and of audio that is encoded first."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from timbrec import catalog
from timbrec.errors import ConfigError, DataError
from timbrec.files import checksum, write_atomically
from timbrec.probes.shared.running import Loadable
from timbrec.protocols import EncoderCard
from timbrec.store import VectorSource
from timbrec.store.vectors import Vectors
from timbrec.study.config import Config
from timbrec.study.entries import EncoderConfig, ProbeConfig
from timbrec.study.inputs import Inputs
from timbrec.study.sources import encoded_vectors, given_vectors
from timbrec.types import Progress

if TYPE_CHECKING:
    from timbrec.probes.shared.labels import Labels

BASELINE = "mfcc"  # stands beside the encoders of a config wherever there is audio
FOLDER = "probes"  # of records, shared with earlier runs, and of lists of the audio of data sets


def vectors_of_run(config: Config, inputs: Inputs, progress: Progress | None, engine: str) -> dict[str, Loadable]:
    """The vectors of the run's tracks: those of every representation, and MFCC where there is audio to encode."""
    ids = inputs.catalogue.ids
    sources = {}
    for representation in inputs.representations:
        name = representation.name

        def load(name: str = name) -> Vectors:
            return Vectors(ids, inputs.vectors(inputs.representation(name)), name)

        origins = [config.encoders[source.encoder] for source in representation.sources]
        datasets = {data for source, entry in zip(representation.sources, origins, strict=True)
                    for data in _datasets(source.encoder, entry)}  # fmt: skip
        origin = " ".join(str(entry.vectors or "") for entry in origins)
        sources[name] = Loadable(ids, representation.digest, load, tuple(sorted(datasets)), origin)
    audio = next((entry for entry in config.encoders.values() if entry.audio is not None), None)
    if audio is not None and not _has_baseline(config):
        vectors = _encoded(
            BASELINE, EncoderConfig.model_validate({"audio": audio.audio, "ids": audio.ids}), config, progress, engine
        )
        sources[BASELINE] = vectors
    return sources


def _has_baseline(config: Config) -> bool:
    return any((entry.encoder or name) == BASELINE for name, entry in config.encoders.items())


def _encoded(name: str, entry: EncoderConfig, config: Config, progress: Progress | None, engine: str) -> Loadable:
    stores, _ = encoded_vectors({name: entry}, config.base, config.device, progress, engine)
    store = stores[name]
    return Loadable(store.ids, store.digest, partial(same, store), _datasets(name, entry))


def vectors_of_data_set(
    entry: ProbeConfig, labels: Labels, config: Config, folder: Path, encoded: dict[str, Mapping[str, Loadable]],
    progress: Progress | None, engine: str,
) -> Mapping[str, Loadable]:  # fmt: skip
    """The vectors of a data set: files that the probe names, and vectors of its audio, encoded where missing."""
    sources = {}
    for name, given in entry.vectors.items():
        source = given_vectors(given, config.base)
        datasets = _datasets(name, config.encoders[name])
        sources[name] = Loadable(source.ids, source.digest, partial(same, source), datasets, str(given.vectors))
    if "path" in labels.tracks.columns:
        manifest = folder / FOLDER / f"{entry.use}.csv"
        manifest.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(manifest, labels.tracks.select("id", "path").write_csv())
        key = checksum(manifest)
        if key not in encoded:
            encoded[key] = _audio_of(manifest, entry, config, progress, engine)
        sources = dict(encoded[key]) | sources
    if not sources:
        raise ConfigError(
            f"probe {entry.name!r} has neither audio nor vectors",
            fix="Name the folder of its audio as `path`, or files of vectors as `vectors: {ENCODER: FILE}`.",
        )
    return sources


def _audio_of(
    manifest: Path, entry: ProbeConfig, config: Config, progress: Progress | None, engine: str
) -> dict[str, Loadable]:
    """The vectors of the audio of a manifest, by every encoder of the config that encodes audio, and by MFCC."""
    encoders = {name: given for name, given in config.encoders.items() if given.audio is not None}
    if not _has_baseline(config):
        encoders[BASELINE] = EncoderConfig.model_validate({"audio": manifest})
    sources = {}
    for name, given in encoders.items():
        place = {"audio": manifest.absolute(), "store": Path("vectors", entry.use, name), "ids": None}
        sources[name] = _encoded(name, given.model_copy(update=place), config, progress, engine)
    if not sources:
        raise DataError(f"no encoder of the config encodes audio, as probe {entry.name!r} needs")
    return sources


def same(source: VectorSource) -> VectorSource:
    """The source itself, for one that is open already."""
    return source


def _datasets(name: str, entry: EncoderConfig) -> tuple[str, ...]:
    """The public data sets of an encoder's training, by its name in the catalogue; also for vectors named after it."""
    return datasets_of(entry.encoder or name)


def datasets_of(used: str) -> tuple[str, ...]:
    """The public data sets of the training of the encoder called `used`; empty for other names."""
    if used not in catalog.names("encoders"):
        return ()
    card: EncoderCard = catalog.load("encoders", used).card
    return card.datasets
