"""Representations: the track vectors that recommenders are fitted on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

import numpy as np
from pydantic import ConfigDict, TypeAdapter, ValidationError

from timbrec import catalog
from timbrec.data.vocabulary import Vocabulary
from timbrec.errors import ConfigError
from timbrec.store import VectorSource
from timbrec.study.config import Config
from timbrec.study.entries import EncoderConfig, PartConfig
from timbrec.study.identity import FOR_READERS, digest_of
from timbrec.types import Array, Float32, Int


@dataclass(frozen=True)
class Source:
    """The vectors of one encoder.

    `digest` is the hash of ids and values. The other fields are for readers: `layer` None is the encoder's own output;
    layer, pool and windows are None for vectors that were computed elsewhere.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    digest: str
    encoder: str = field(metadata=FOR_READERS)
    layer: int | None = field(default=None, metadata=FOR_READERS)
    pool: str | None = field(default=None, metadata=FOR_READERS)
    windows: str | None = field(default=None, metadata=FOR_READERS)


@dataclass(frozen=True)
class Step:
    """One transform by its name in the catalogue, with all its settings and its version."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    use: str
    settings: dict[str, Any]
    version: int


@dataclass(frozen=True)
class Representation:
    """The vectors of one or several encoders, and a chain of transforms.

    Vectors of several sources are concatenated in the order of `sources`, then go through `steps`. Transforms are
    fitted on the tracks of the train part only. `name` is the name in tables and on the page.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    name: str = field(metadata=FOR_READERS)
    sources: tuple[Source, ...]
    steps: tuple[Step, ...] = ()

    @property
    def digest(self) -> str:
        """A hash of the sources and steps."""
        return digest_of(self)

    def vectors(
        self, stores: Mapping[str, VectorSource], catalogue: Vocabulary, train_items: Int[Array, "n"]
    ) -> Float32[Array, "items dim"]:
        """(items, dim) vectors of the catalogue's tracks in row order, from the vector sources by encoder name."""
        return self.fitted(stores, catalogue, train_items)[0]

    def fitted(
        self, stores: Mapping[str, VectorSource], catalogue: Vocabulary, train_items: Int[Array, "n"]
    ) -> tuple[Float32[Array, "items dim"], tuple[Any, ...]]:
        """The vectors, as `vectors` returns them, and the fitted steps, which map the vectors of further tracks."""
        parts = [stores[source.encoder].aligned(catalogue.ids) for source in self.sources]
        vectors = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)
        steps = []
        for step in self.steps:
            transform = catalog.load("transforms", step.use)(**step.settings)
            steps.append(transform.fitted(vectors[train_items]))
            vectors = steps[-1](vectors)
        return vectors, tuple(steps)


def representations_of(config: Config, stores: Mapping[str, VectorSource]) -> tuple[Representation, ...]:
    """One representation per encoder, then those under `representations` in the config.

    Raises ConfigError for a setting that a transform does not have.
    """
    sources = {name: _source(name, config.encoders[name], stores[name].digest) for name in stores}
    plain = [Representation(name, (source,)) for name, source in sources.items()]
    named = [
        Representation(name, tuple(sources[encoder] for encoder in entry.of), tuple(map(_step, entry.transforms)))
        for name, entry in config.representations.items()
    ]
    return (*plain, *named)


def _source(name: str, entry: EncoderConfig, digest: str) -> Source:
    if entry.audio is None:
        return Source(digest, name)
    return Source(digest, name, entry.layer, entry.pool, entry.windows)


def _step(entry: PartConfig) -> Step:
    kind = catalog.load("transforms", entry.use)
    try:
        transform = TypeAdapter(kind).validate_python(entry.settings)
    except ValidationError as error:
        detail = error.errors()[0]
        place = ".".join(map(str, detail["loc"])) or "settings"
        raise ConfigError(f"transform {entry.use!r}: {place}: {detail['msg']}", example=detail["input"]) from error
    return Step(entry.use, asdict(transform), kind.version)
