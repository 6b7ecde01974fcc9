"""The local engine: reading and encoding in threads of this process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from timbrec.embed.later import load_later
from timbrec.embed.ledger import Ledger
from timbrec.embed.schedule import process
from timbrec.embed.target import Target
from timbrec.protocols import Encoder


@dataclass(frozen=True)
class Local:
    """Reads ahead and encodes in threads of this process."""

    def load(self, name: str, weights: Path | str | None, device: str, options: Mapping[str, Any]) -> Encoder:
        """The encoder called `name`, loaded at its first use if it was loaded before."""
        return load_later(name, weights, device, **options)

    def run(self, ledger: Ledger, targets: Sequence[Target], batch: int | None, workers: int | None) -> None:
        """Encode all tracks that the ledger lists as lacking; every finished batch is stored at once."""
        process(ledger, targets, batch, workers)
