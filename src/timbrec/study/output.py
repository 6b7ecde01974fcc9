"""Check of the folder that a run is written to: nothing else may lie in it, since a later run moves its files."""

from __future__ import annotations

from timbrec.errors import ConfigError
from timbrec.study.config import Config

_OURS = ("run.json", "inputs", "probes", "probes.json", "mir_scores.csv")  # one of these may come first


def check_output(config: Config) -> None:
    """Raises ConfigError if `output` is a file, holds the config, or is a folder with files but without a run."""
    folder, base = config.at(config.output), config.base
    fix = "Name a folder for this run alone, such as `output: run`."
    if folder.is_file():
        raise ConfigError(f"`output` is {folder}, which is a file", fix=fix)
    if not folder.is_dir():
        return
    if folder.resolve() in (base.resolve(), *base.resolve().parents):
        raise ConfigError(f"`output` is {folder}, which holds the config", fix=fix)
    names = sorted(entry.name for entry in folder.iterdir() if not entry.name.startswith("."))
    if names and not set(names) & set(_OURS):
        raise ConfigError(f"`output` is {folder}, which holds other files", count=len(names), example=names[0], fix=fix)
