"""What is to be made of the audio: one kind of vectors per output, each in a store of its own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from timbrec.audio import Cut, Windows
from timbrec.embed.pooling import POOLS
from timbrec.errors import ConfigError
from timbrec.protocols import Encoder, EncoderCard
from timbrec.store import StoreInfo


@dataclass(frozen=True, eq=False)
class Output:
    """Vectors of one encoder, layer (None: the encoder's own output), pool over time and choice of windows.

    `store` is the folder they go to, which is made where there is none. Raises ConfigError for an unknown pool.
    """

    encoder: Encoder
    store: Path
    windows: Windows = field(default_factory=Windows)
    layer: int | None = None
    pool: str = "mean"

    def __post_init__(self) -> None:
        if self.pool not in POOLS:
            raise ConfigError(f"there is no pool {self.pool!r}", fix=f"Known: {', '.join(POOLS)}.")

    @property
    def card(self) -> EncoderCard:
        """The encoder's card."""
        return self.encoder.card

    @property
    def cut(self) -> Cut:
        """What the encoder hears of a file."""
        return Cut(self.card.rate, self.windows.seconds(self.card.window), self.windows)

    @property
    def dim(self) -> int | None:
        """The vectors' length, where the card tells; that of layers and frames shows when there are some."""
        return self.card.dim if self.layer is None and self.pool == "mean" else None

    def info(self, dim: int) -> StoreInfo:
        """What the store says of its vectors: with the hash of the audio, all that they depend on."""
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
    """One output per layer and pool, in folders of `root` named after what they hold, e.g. "muq-layer6-max-first".

    `name` stands for the encoder's own. What is as usual is left out of the names: the encoder's own output, the mean
    and windows spread over the track.
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
