"""The description of a run: its config and the facts about its data and encoders, as JSON."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from timbrec import catalog
from timbrec.encoders.shared.own import is_file_name
from timbrec.machine.versions import commit, versions
from timbrec.protocols import EncoderCard
from timbrec.study.config import Config
from timbrec.study.data_card import data_card
from timbrec.study.inputs import Inputs

_CARD = (
    "revision", "licence_code", "licence_weights", "commercial", "trained_on", "parameters", "citation", "bibtex",
    "gflop",
)  # fmt: skip


def describe_run(config: Config, inputs: Inputs) -> dict[str, Any]:
    """The config (with an absolute base folder), the data card, and facts about each encoder."""
    return {
        "version": version("timbrec"),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "config": config.facts,
        "data_card": data_card(inputs),
        "inputs": inputs.digests,
        "versions": versions() | ({"git commit": revision} if (revision := commit()) else {}),
        "encoders": [_encoder(name, config, inputs) for name in inputs.sources],
    }


def _encoder(name: str, config: Config, inputs: Inputs) -> dict[str, Any]:
    facts: dict[str, Any] = {"name": name, "dim": inputs.sources[name].dim}
    if (speed := inputs.sources[name].speed) is not None:
        facts |= {"seconds_per_track": round(speed.seconds, 6), "measured": f"{speed.tracks:,} tracks, {speed.device}"}
    entry = config.encoders[name]
    card = card_of(name, entry.encoder, entry.audio is not None)
    return facts if card is None else facts | {fact: getattr(card, fact) for fact in _CARD}


def card_of(name: str, encoder: str | None, encodes: bool) -> EncoderCard | None:
    """The card of a config's encoder; None for an encoder of the user, and for vectors computed elsewhere."""
    used = encoder or name
    if not encodes or is_file_name(used):
        return None
    card: EncoderCard = catalog.load("encoders", used).card
    return card
