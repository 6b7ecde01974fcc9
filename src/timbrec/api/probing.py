"""Running probes alone."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from timbrec.api.engine import session_of
from timbrec.errors import ConfigError
from timbrec.study.config import Config, read_config
from timbrec.study.inputs import load_inputs
from timbrec.study.mirror import working_folder
from timbrec.study.probing import Probed, run_on_files, run_probes
from timbrec.types import Progress

_LOG = logging.getLogger(__name__)


def probe(config: Config | Path | str, progress: Progress | None = None, engine: str = "local") -> Probed:
    """Run the probes of a config alone and keep their records in its `output`, where `report` finds them.

    Finished probes are not run again. `engine` is that of `bench`. Raises ConfigError for a config without probes.
    """
    settings = config if isinstance(config, Config) else read_config(Path(config))
    if not settings.probes:
        raise ConfigError("the config has no `probes`", fix="Add some, such as `probes: [{labels: genres.csv}]`.")
    with session_of(engine):
        inputs = load_inputs(settings, progress, engine=engine)
        with working_folder(settings.at(settings.output)) as folder:
            return run_probes(settings, inputs, folder, progress, engine)


def probe_vectors(
    vectors: Mapping[str, Path | str],
    probes: Sequence[Mapping[str, Any]],
    *,
    ids: Path | str | None = None,
    columns: str | Mapping[str, str] | None = None,
    progress: Progress | None = None,
    engine: str = "local",
) -> Probed:
    """Run probes, given as in a config, on files of vectors by encoder name; nothing is kept.

    `ids` is the file of ids for .npy vectors, `columns` a pattern for the columns of vectors in tables, or both columns
    as in a config: `{"id": "track", "vector": "f*"}`. Relative paths start at the working folder. `engine` is that of
    `bench`.
    """
    with session_of(engine):
        return run_on_files(vectors, probes, ids, columns, progress, engine)


def log_failures(probed: Probed) -> None:
    """Log a warning per probe that failed."""
    for label, encoder, reason in probed.failures:
        _LOG.warning("probe %s%s failed: %s", label, f" on {encoder}" if encoder else "", reason)
