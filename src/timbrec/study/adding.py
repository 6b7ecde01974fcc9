"""Encoders added to a config by name and source, for `timbrec bench --add`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from timbrec import catalog
from timbrec.encoders.shared.own import is_file_name, located
from timbrec.errors import ConfigError
from timbrec.study.config import Config, make_config


def with_encoders(config: Config, sources: Mapping[str, str], base: Path) -> Config:
    """The config with further encoders, by name.

    A source is a file or store of vectors, a catalogue name, or path/to/file.py:Name; paths are relative to `base`. An
    encoder of audio reads the audio folder of the config's other encoders. If the config names no `reference`, the
    first added encoder becomes the reference, so that the run compares it with all others. Raises ConfigError for a
    name that the config already has, and for an encoder of audio unless the others share one audio folder.
    """
    if not sources:
        return config
    entries = {name: _entry(name, source, config, base) for name, source in sources.items()}
    settings = config.model_dump(mode="json", exclude_none=True)
    reference = {"reference": config.reference or next(iter(sources))}
    return make_config(settings | reference | {"encoders": settings["encoders"] | entries})


def _entry(name: str, source: str, config: Config, base: Path) -> dict[str, Any]:
    if name in config.encoders or name in config.representations:
        raise ConfigError(f"the config already has an encoder {name!r}", fix="Add it under another name.")
    own = is_file_name(source)
    if not own and (source not in catalog.names("encoders") or (base / source).exists()):
        return {"vectors": str((base / source).resolve())}
    folders = {str(config.at(entry.audio).resolve()) for entry in config.encoders.values() if entry.audio is not None}
    if len(folders) != 1:
        problem = "none of its encoders names audio" if not folders else f"its encoders name {len(folders)} folders"
        raise ConfigError(
            f"{name}: the config does not say which audio to encode: {problem}",
            fix="Encode it first with `timbrec embed` and add the store, or add the encoder to the config.",
        )
    return {"audio": folders.pop(), "encoder": located(source, base.resolve())}
