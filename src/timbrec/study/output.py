"""Check of the folder that a run is written to."""

from __future__ import annotations

from timbrec.errors import ConfigError
from timbrec.places.ownership import check_own_folder
from timbrec.study.config import Config

_FIRST = ("run.json", "inputs", "probes", "probes.json", "mir_scores.csv")  # one of these may come first
_PARTS = ("split",)  # alone where a run was stopped before its run.json


def check_output(config: Config) -> None:
    """Raise ConfigError if `output` is a file, contains the config, or is a folder with files but without a run."""
    folder, base = config.at(config.output), config.base.resolve()
    fix = "Name a folder for this run alone, such as `output: run`."
    if folder.is_dir() and folder.resolve() in (base, *base.parents):
        raise ConfigError(f"`output` is {folder}, which contains the config", fix=fix)
    check_own_folder(folder, "`output`", _FIRST, _PARTS, fix=fix)
