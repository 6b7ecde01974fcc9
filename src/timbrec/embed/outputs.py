"""Requested outputs: one encoder, layer, pool and choice of windows each, with a store of its own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from timbrec.audio import Cut, Windows, check_resampler
from timbrec.embed.pooling import POOLS
from timbrec.errors import ConfigError
from timbrec.protocols import Encoder, EncoderCard
from timbrec.store import StoreInfo


@dataclass(frozen=True, eq=False)
class Output:
    """Request for the vectors of one encoder, layer (None: the encoder's own output), pool and choice of windows.

    `store` is the folder of the vectors, created if missing. Raises ConfigError for an unknown
    pool, and for a resampler that is unknown or not installed.
    """

    encoder: Encoder
    store: Path
    windows: Windows = field(default_factory=Windows)
    layer: int | None = None
    pool: str = "mean"

    def __post_init__(self) -> None:
        if self.pool not in POOLS:
            raise ConfigError(f"there is no pool {self.pool!r}", fix=f"Known: {', '.join(POOLS)}.")
        check_resampler(self.card.resampler)

    @property
    def card(self) -> EncoderCard:
        """Card of the encoder."""
        return self.encoder.card

    @property
    def cut(self) -> Cut:
        """Windows that the encoder takes from a file."""
        return Cut(self.card.rate, self.windows.seconds(self.card.window), self.windows, self.card.resampler)

    @property
    def dim(self) -> int | None:
        """Number of dimensions by the card; None for layers and other pools, which show it in their first vector."""
        return self.card.dim if self.layer is None and self.pool == "mean" else None

    def info(self, dim: int) -> StoreInfo:
        """Description of the vectors for their store: with the hash of the audio, everything they depend on."""
        described = self.windows.described(self.card.window)
        return StoreInfo(self.card.name, self.card.revision, self.layer, self.pool, "time", described, dim)


def outputs(
    encoder: Encoder,
    root: Path,
    layers: Sequence[int | None] = (None,),
    pools: Iterable[str] = ("mean",),
    windows: Windows | None = None,
    name: str | None = None,
) -> list[Output]:
    """Return one output per layer and pool, in folders of `root` with descriptive names, e.g. "muq-layer6-max-first".

    `name` replaces the encoder's own. Names leave out the defaults: own output, mean, and eight windows spread over
    the track.
    """
    windows = windows or Windows()
    cut = "" if windows == Windows() else f"-{windows.policy}" + f"{windows.count}" * (windows.policy == "spread")
    return [
        Output(encoder, root / f"{name or encoder.card.name}{_layer(layer)}{_pool(pool)}{cut}", windows, layer, pool)
        for layer in layers
        for pool in pools
    ]


def _layer(layer: int | None) -> str:
    return "" if layer is None else f"-layer{layer}"


def _pool(pool: str) -> str:
    return "" if pool == "mean" else f"-{pool}"
