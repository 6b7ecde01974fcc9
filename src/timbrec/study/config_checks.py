"""Checks of a config that concern several keys, the parts it names, or this machine."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import is_dataclass

from timbrec import catalog
from timbrec.encoders.shared.own import is_file_name
from timbrec.errors import TimbrecError, did_you_mean, listing
from timbrec.machine.devices import check_device
from timbrec.machine.versions import code_digest
from timbrec.metrics.shared.base import GainMetric
from timbrec.places import is_remote
from timbrec.probes import probe
from timbrec.recommenders import recommender
from timbrec.settings import checked
from timbrec.study.config_keys import BASELINES, Config
from timbrec.study.entries import DatasetConfig


def problems(config: Config) -> Iterator[str]:
    """A sentence per problem; none for a config that can run."""
    checks = (
        _unknown_parts, _cell_settings, _probe_problems, _impossible_settings, _primary_problems, _repeated_labels,
        _unknown_sources, _no_reference,
    )  # fmt: skip
    for check in checks:
        yield from map(str, check(config))


def _unknown_parts(config: Config) -> Iterator[object]:
    parts = [("metrics", name) for name in [*config.metrics, config.primary.split("@")[0]]]
    parts += [("cells", entry.use) for entry in config.cells]
    parts += [("transforms", step.use) for entry in config.representations.values() for step in entry.transforms]
    parts += [("encoders", entry.encoder or name) for name, entry in config.encoders.items() if entry.audio is not None]
    if isinstance(config.dataset, DatasetConfig):
        parts.append(("datasets", config.dataset.use))
    for kind, name in dict.fromkeys(parts):
        if name not in catalog.names(kind) and not (kind == "encoders" and is_file_name(name)):
            yield _refusal(catalog.load, kind, name)


def _cell_settings(config: Config) -> Iterator[object]:
    """Settings that a kind of cell does not take."""
    for entry in config.cells:
        if entry.use in catalog.names("cells"):
            kind = catalog.load("cells", entry.use)
            if entry.settings and not is_dataclass(kind):
                yield f"cells of kind {entry.use!r} have no settings"
            elif entry.settings and (refused := _refusal(checked, kind, entry.settings)):
                yield refused


def _probe_problems(config: Config) -> Iterator[object]:
    """Unknown probes, settings that a probe does not take, two probes of one name, vectors of unknown encoders."""
    for entry in config.probes:
        if refused := _refusal(probe, entry.use, entry.settings):
            yield refused
        for name in entry.vectors:
            if name not in config.encoders:
                yield f"probe {entry.name!r} has vectors of {name!r}, which is no encoder of the config."
    names = [entry.name for entry in config.probes]
    if repeated := [name for name in names if names.count(name) > 1]:
        yield f"two probes are called {repeated[0]!r}. Give each its own `label`."


def _impossible_settings(config: Config) -> Iterator[object]:
    """Settings a recommender does not take, a missing items table, and a device this machine lacks."""
    for entry in [] if _has_run(config) else config.recommenders:
        if refused := _refusal(recommender, entry.use, entry.settings, config.budget):
            yield refused
        elif not config.knows_artists and catalog.load("recommenders", entry.use).uses_artists:
            yield f"recommender {entry.use!r} needs the artist of each track. Name a table of tracks under `items`."
    if not config.knows_tracks and (
        names := [name for name, entry in config.encoders.items() if entry.metadata is not None]
    ):
        yield f"encoder {names[0]!r} needs the metadata of each track. Name a table of tracks under `items`."
    if config.split.by_artist and "catalogue" in (config.cold_candidates, config.mixed_candidates):
        yield (
            "`split.by_artist` leaves out new tracks by known artists, which would be candidates. Set "
            "`cold_candidates` and `mixed_candidates` to tested."
        )
    if config.leaks == "remove" and "catalogue" in (config.cold_candidates, config.mixed_candidates):
        yield (
            "`leaks: remove` leaves out new tracks that train knows, which would be candidates. Set `cold_candidates` "
            "and `mixed_candidates` to tested."
        )
    for key in ("artist", "discovery", "genre"):
        if key in config.strata and not (config.knows_tracks if key == "genre" else config.knows_artists):
            yield f"`strata` by {key} need a table of tracks. Name it under `items`."
    if config.split.by_artist and not config.knows_artists:
        yield "`split.by_artist` needs the artist of each track. Name a table of tracks under `items`."
    if refused := _refusal(check_device, config.device):
        yield refused


def _has_run(config: Config) -> bool:
    """Whether this code has made a run of this config, and so has checked its recommenders, which load PyTorch."""
    path = config.at(config.output) / "run.json"
    if config.own_parts or is_remote(path):
        return False
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        return bool(facts["config"] == config.facts and facts["versions"]["code"] == code_digest())
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _primary_problems(config: Config) -> Iterator[object]:
    """The primary metric must be among metrics and k, and hits must add up to it (for intervals over items)."""
    name = config.primary.split("@")[0]
    if config.primary not in {f"{metric}@{k}" for metric in config.metrics for k in config.k}:
        yield (
            f"`primary` is {config.primary!r}, which `metrics` and `k` do not contain. "
            "Add its metric and its k, or choose another primary metric."
        )
    elif name in catalog.names("metrics") and not issubclass(catalog.load("metrics", name), GainMetric):
        yield f"`primary` is {config.primary!r}, to which hits do not add up. Choose one such as 'ndcg@50'."


def _repeated_labels(config: Config) -> Iterator[object]:
    labels = [entry.label or entry.use for entry in config.recommenders]
    labels += set(BASELINES) - {entry.use for entry in config.recommenders}
    if repeated := sorted({label for label in labels if labels.count(label) > 1}):
        yield f"two recommenders are called {repeated[0]!r}. Give each its own `label`."


def _unknown_sources(config: Config) -> Iterator[object]:
    """Representations must use encoders of the config, and names that no encoder has."""
    for name, entry in config.representations.items():
        if name in config.encoders:
            yield f"`representations` and `encoders` both have {name!r}. Give the representation another name."
        for encoder in entry.of:
            if encoder not in config.encoders:
                known = ", ".join(config.encoders)
                yield f"representation {name!r} is made of {encoder!r}, which `encoders` lacks. It has: {known}."


def _no_reference(config: Config) -> Iterator[object]:
    """The reference must be an encoder or a representation, and not the only one."""
    names = [*config.encoders, *config.representations]
    if config.reference is None:
        return
    if config.reference not in names:
        hint = did_you_mean(config.reference, names)
        yield f"`reference` is {config.reference!r}, which is no encoder. {hint}The config has: {listing(names)}."
    elif len(names) < 2:
        yield f"`reference` is {config.reference!r}, the only encoder. Add an encoder, or leave `reference` out."


def _refusal(make: Callable[..., object], *arguments: object) -> TimbrecError | None:
    """The error that a call raises; None if it raises none."""
    try:
        make(*arguments)
    except TimbrecError as error:
        return error
    return None
