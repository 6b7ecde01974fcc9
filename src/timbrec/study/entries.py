"""Entries of a config: sources of vectors, parts with settings, and representations."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from timbrec import catalog
from timbrec.data.settings import Name, Part, TextPart, resolved
from timbrec.datasets.shared.base import Dataset
from timbrec.places import AnyPath
from timbrec.settings import checked
from timbrec.types import Pool, WindowPolicy

T = TypeVar("T")


def _distinct(values: list[T]) -> list[T]:
    if repeated := [value for value in values if values.count(value) > 1]:
        raise ValueError(f"{repeated[0]!r} comes twice")
    return values


Distinct = Annotated[list[T], Field(min_length=1), AfterValidator(_distinct)]


class EncoderConfig(TextPart):
    """One source of vectors: a file (with `ids` for .npy), a store, audio to encode, metadata, or the data set's
    vectors.

    `dataset` names vectors of the config's data set.

    `encoder` is a catalogue name or path/to/file.py:Name, by default the key of this entry. `weights` is the file or
    folder of its weights, `options` are its settings. `layer`, `pool`, `windows` and `count` are those of `timbrec
    embed`. With `audio`, `ids` is the kind of track id: stem, path, tag or tag:NAME. `store` is the folder of the
    vectors, by default `vectors/NAME` beside the config.

    `metadata` are columns of the items table, encoded one-hot; an empty list means the artist and, if they exist, the
    columns album, year and genre.
    """

    vectors: AnyPath | None = None
    dataset: Name | None = None
    metadata: list[Name] | None = None
    ids: AnyPath | None = None
    columns: dict[Literal["id", "vector"], Name | list[str]] = {}
    audio: AnyPath | None = None
    encoder: str | None = None
    store: AnyPath | None = None
    weights: Path | None = None
    options: dict[str, Any] = {}
    layer: Annotated[int, Field(ge=0)] | None = None
    pool: Pool = "mean"
    windows: WindowPolicy = "spread"
    count: int = Field(8, ge=1)

    @model_validator(mode="after")
    def _one_source(self) -> EncoderConfig:
        if [self.vectors, self.audio, self.metadata, self.dataset].count(None) != 3:
            raise ValueError("give either `vectors` or `audio`, or `metadata`, or `dataset`")
        usual = {name: field.default for name, field in type(self).model_fields.items()}
        changed = {name for name in usual if getattr(self, name) != usual[name]}
        if self.metadata is not None and (others := changed - {"metadata"}):
            raise ValueError(f"`{min(others)}` does not apply to `metadata`")
        if self.dataset is not None and (others := changed - {"dataset"}):
            raise ValueError(f"`{min(others)}` does not apply to `dataset`")
        changed -= {"vectors", "ids", "columns", *TextPart.model_fields}
        if self.vectors is not None and changed:
            raise ValueError(f"`{min(changed)}` is for `audio`; vectors are taken as they are")
        if self.audio is not None and self.ids is not None and not re.fullmatch("stem|path|tag(:.+)?", str(self.ids)):
            raise ValueError("`ids` of audio are stem, path, tag or tag:NAME")
        return self


class PartConfig(BaseModel):
    """A part by its catalogue name (`use`) and its settings."""

    model_config = ConfigDict(extra="allow", frozen=True)
    use: str

    @property
    def settings(self) -> dict[str, Any]:
        """The settings given."""
        return dict(self.model_extra or {})


class DatasetConfig(PartConfig):
    """A published data set by its catalogue name (`use`), the folder of its files (`path`), and its settings."""

    path: Path

    @property
    def kind(self) -> type[Dataset]:
        """The class of the data set. Raises ConfigError for an unknown name."""
        kind: type[Dataset] = catalog.load("datasets", self.use)
        return kind

    def opened(self, base: Path) -> Dataset:
        """The data set; a relative path starts at the folder `base`. Raises ConfigError for unknown settings."""
        return self.kind(resolved(base, self.path), **checked(self.kind, self.settings))


class RecommenderConfig(PartConfig):
    """A recommender by its catalogue name (`use`), its settings, and its name in the report (`label`)."""

    label: str | None = None


class RepresentationConfig(Part):
    """The vectors of one encoder, or of several side by side (`of`), and a chain of transforms."""

    of: Distinct[Name]
    transforms: list[PartConfig] = []


class ProbeConfig(PartConfig):
    """A probe by its catalogue name (`use`), its settings, its name in the report (`label`), and vectors of its clips.

    `vectors` are files or stores by encoder name, for the clips of a data set whose audio is not encoded here.
    """

    label: Name | None = None
    vectors: dict[Name, EncoderConfig] = {}

    @property
    def name(self) -> str:
        """The name in tables."""
        return self.label or self.use
