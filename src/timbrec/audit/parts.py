"""Parts under audit: recommenders with the catalogue's defaults, and the recommenders and encoders of a run."""

from __future__ import annotations

import hashlib
import inspect
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any

from timbrec import catalog
from timbrec.protocols import Encoder, Recommender
from timbrec.recommenders import recommender
from timbrec.study.config import Config, make_config
from timbrec.study.entries import EncoderConfig
from timbrec.study.identity import digest_of
from timbrec.study.runs import Run

SHORT = 2  # epochs at most in the checks of a recommender with its own settings


@dataclass(frozen=True, eq=False)
class RecommenderPart:
    """A recommender: its name in the catalogue and its settings."""

    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def recommender(self) -> Recommender:
        """The recommender with these settings."""
        return recommender(self.name, self.settings)

    @property
    def short(self) -> Recommender:
        """The recommender with at most SHORT epochs of training."""
        full = self.recommender
        epochs = {part.name: min(getattr(full, part.name), SHORT) for part in fields(full) if "epochs" in part.name}
        return recommender(self.name, asdict(full) | epochs)

    @property
    def digest(self) -> str:
        """A hash of the name, every setting, the version and the source files."""
        full = self.recommender
        return digest_of(self.name, asdict(full), full.version, source_digest(type(full)))


@dataclass(frozen=True, eq=False)
class EncoderPart:
    """An encoder of a config. It is loaded when first used."""

    name: str
    entry: EncoderConfig = field(repr=False)
    config: Config = field(repr=False)

    @property
    def weights(self) -> Path | None:
        """The path of the weights; None if the encoder finds its own."""
        return None if self.entry.weights is None else self.config.at(self.entry.weights)

    @cached_property
    def encoder(self) -> Encoder:
        """The loaded encoder. Raises TimbrecError if it cannot be loaded."""
        from timbrec.encoders import load
        from timbrec.study.sources import encoder_name

        return load(encoder_name(self.name, self.entry, self.config.base), self.weights, **self.entry.options)

    @property
    def digest(self) -> str:
        """A hash of name, options, source files, and of the path, size and time of the weights."""
        files = sorted(self.weights.rglob("*")) if self.weights and self.weights.is_dir() else [self.weights]
        stats = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in files if path and path.exists()]
        kind = type(self.encoder)
        card = {name: str(value) for name, value in asdict(self.encoder.card).items()}
        return digest_of(self.entry.encoder or self.name, dict(self.entry.options), source_digest(kind), stats, card)


@dataclass(frozen=True, eq=False)
class Parts:
    """Recommenders and encoders by their names in findings."""

    recommenders: Mapping[str, RecommenderPart] = field(default_factory=dict)
    encoders: Mapping[str, EncoderPart] = field(default_factory=dict)


def default_parts() -> Parts:
    """Every recommender of the catalogue, installed packages included, with its default settings."""
    return Parts({name: RecommenderPart(name) for name in catalog.names("recommenders")})


def run_parts(run: Run) -> Parts:
    """The defaults, the recommenders of a run with other settings, and the run's encoders of audio."""
    config = make_config(run.facts["config"])
    defaults = default_parts().recommenders
    ranking = [cell for cell in run.experiments if cell.kind == "ranking"]
    own = {cell.label: RecommenderPart(cell.recommender, cell.settings) for cell in ranking}
    known = {part.digest for part in defaults.values()}
    different = {f"{label} of the run": part for label, part in own.items() if part.digest not in known}
    encoders = {name: EncoderPart(name, entry, config) for name, entry in config.encoders.items() if entry.audio}
    return Parts({**defaults, **different}, encoders)


def source_digest(kind: type) -> str:
    """A hash of the source files of a class: its own file, or its whole package.

    Empty for classes of timbrec, because the digest of the code covers them.
    """
    top = kind.__module__.partition(".")[0]
    if top == "timbrec":
        return ""
    package = getattr(sys.modules.get(top), "__file__", None)
    try:
        own = inspect.getsourcefile(kind)
    except TypeError:
        own = None
    paths = {Path(own)} if own else set()
    if package and Path(package).name == "__init__.py":
        paths |= set(Path(package).parent.rglob("*.py"))
    content = hashlib.sha256()
    for path in sorted(paths):
        content.update(str(path).encode() + b"\0" + path.read_bytes())
    return content.hexdigest()[:16]
