"""Encoders and work that travel to other processes, and the results that come back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from timbrec import encoders
from timbrec.audio import Windows
from timbrec.embed.reading import Reading
from timbrec.embed.target import Target
from timbrec.embed.tracks import Track
from timbrec.errors import AudioError, ConfigError, TimbrecError
from timbrec.protocols import Encoder, EncoderCard
from timbrec.types import Array, Float32


@dataclass(frozen=True)
class Recipe:
    """How a worker loads an encoder: the arguments of `timbrec.encoders.load`."""

    name: str
    weights: Path | str | None
    device: str
    options: Mapping[str, Any]

    def load(self) -> Encoder:
        """Load the encoder in this process."""
        return encoders.load(self.name, self.weights, self.device, **self.options)


@dataclass(eq=False)
class RemoteEncoder:
    """The card of an encoder that only workers load."""

    card: EncoderCard
    recipe: Recipe

    def __post_init__(self) -> None:
        self.device = self.recipe.device  # the kind of device that workers encode on

    def encode(self, windows: Float32[Array, "n samples"]) -> Float32[Array, "n dim"]:
        """Raise ConfigError: this process has no weights."""
        raise ConfigError(f"{self.card.name} is loaded by workers only", fix="Encode with the engine that loaded it.")


@dataclass(frozen=True)
class Request:
    """An output without its store: the place of its encoder among `Plan.encoders`, windows, layer and pool."""

    encoder: int
    windows: Windows
    layer: int | None
    pool: str


@dataclass(frozen=True)
class Plan:
    """The work that all workers share: encoders (recipes or objects), requests, and numbers of threads.

    `cards` are the cards that the encoders must have. `batch` is the number of windows encoded at once, None for the
    default; `threads` is the number of cores of a worker.
    """

    encoders: Sequence[Recipe | Encoder]
    cards: Sequence[EncoderCard]
    requests: Sequence[Request]
    batch: int | None
    threads: int


@dataclass(frozen=True)
class Known:
    """A store's knowledge at the start of a run: the audio of every file read before, and the files that failed."""

    audio_of: Mapping[str, str]
    failed: frozenset[str]


@dataclass(frozen=True)
class Chunk:
    """Tracks for one call of a worker, each with the places of the requests that lack it."""

    tracks: Sequence[tuple[Track, Sequence[int]]]


@dataclass(eq=False)
class Sheet:
    """The results of a chunk.

    `readings` have no windows, and places of requests instead of targets. `vectors` and `errors` are by request and
    hash of the audio. `times` are (device, tracks, seconds) by request. `error` ended the work before its end.
    """

    readings: list[Reading] = field(default_factory=list)
    vectors: dict[tuple[int, str], Float32[Array, "d"]] = field(default_factory=dict)
    errors: dict[tuple[int, str], AudioError] = field(default_factory=dict)
    times: dict[int, tuple[str, int, float]] = field(default_factory=dict)
    error: TimbrecError | None = None


def plan_of(targets: Sequence[Target], batch: int | None, threads: int) -> Plan:
    """The plan for the outputs of some targets."""
    distinct = list({id(target.output.encoder): target.output.encoder for target in targets}.values())
    places = {id(encoder): place for place, encoder in enumerate(distinct)}
    requests = [
        Request(places[id(output.encoder)], output.windows, output.layer, output.pool)
        for output in (target.output for target in targets)
    ]
    loadable = [encoder.recipe if isinstance(encoder, RemoteEncoder) else encoder for encoder in distinct]
    return Plan(loadable, [encoder.card for encoder in distinct], requests, batch, threads)


def known_of(targets: Sequence[Target]) -> list[Known]:
    """The knowledge of the stores of some targets."""
    return [Known(target.audio_of, frozenset(target.failed_files)) for target in targets]
