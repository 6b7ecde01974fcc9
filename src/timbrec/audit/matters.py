"""Settings: whether every setting of a recommender changes what it learns or serves."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, get_args, get_origin, get_type_hints

import numpy as np

from timbrec import catalog
from timbrec.audit.audited import SEED
from timbrec.audit.finding import Finding
from timbrec.audit.trial import Trial
from timbrec.protocols import Content, Recommender, Workspace
from timbrec.recommenders import recommender
from timbrec.worlds.planted import PlantedWorld

_USERS, _ITEMS, _DIM = 40, 60, 8
_LATE = {"patience", "plateau", "least_gain", "lr_drops", "max_items"}  # these act after many epochs or at a limit
_SMALL: dict[str, Any] = {
    "epochs": 1, "batch": 20, "width": 16, "feed_forward": 16, "factors": 16, "elsa_epochs": 1, "length": 8,
}  # fmt: skip
_NEEDS: dict[str, dict[str, Any]] = {"sigma": {"loss": "ADCLW"}, "samples": {"exact_up_to": 1, "samples": 16}}


def settings_matter(trial: Trial) -> Finding:
    """Fit every recommender of timbrec again with each of its settings changed, on a small world.

    Something must differ: the training log, a score or the ability to rank cold items. Settings that act after many
    epochs are left out.
    """
    compared, without, outcomes = 0, list[str](), _Outcomes()
    for name in catalog.names("recommenders"):
        if not catalog.load("recommenders", name).__module__.startswith("timbrec."):
            continue
        base = recommender(name, {key: value for key, value in _SMALL.items() if key in _settings(name)})
        for setting in sorted(_settings(name) - _LATE):
            before = recommender(name, asdict(base) | _NEEDS.get(setting, {}))
            after = recommender(name, asdict(before) | {setting: _another(before, setting)})
            compared += 1
            if outcomes(before) == outcomes(after):
                without.append(f"{name} {setting}")
    return Finding(not without, f"{len(without)} of {compared} settings without effect", "none", ", ".join(without))


def _settings(name: str) -> set[str]:
    return {part.name for part in fields(catalog.load("recommenders", name))}


def _another(base: Recommender, setting: str) -> Any:
    """Another valid value of a setting."""
    value, hint = getattr(base, setting), get_type_hints(type(base))[setting]
    choices = [choice for part in (hint, *get_args(hint)) if get_origin(part) is Literal for choice in get_args(part)]
    if setting == "stop_on":
        return "train loss"
    if isinstance(value, tuple):
        return () if value else (choices[0],)
    if choices:
        return next(choice for choice in choices if choice != value)
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return 20 if setting == "exact_up_to" else value // 2 if setting in ("length", "samples") else value * 2
    return value * 2 if value else 0.5


class _Outcomes(dict[str, tuple[Any, ...]]):
    """What a recommender learns and serves on a tiny world, by its settings; each is fitted once."""

    def __init__(self) -> None:
        super().__init__()
        world = PlantedWorld(_USERS, _ITEMS, dim=_DIM, seed=SEED)
        self.fold = world.split.validation
        self.content = Content(world.vectors(1.0), np.random.default_rng(SEED).integers(9, size=_ITEMS))

    def __call__(self, fitted: Recommender) -> tuple[Any, ...]:
        """The training log without times, all scores, and whether cold items can be ranked."""
        key = f"{type(fitted).__name__} {json.dumps(asdict(fitted), default=str)}"
        if key not in self:
            fold, validation = self.fold, self.fold if fitted.validates else None
            with TemporaryDirectory() as folder:
                rng, workspace = np.random.default_rng(SEED), Workspace(Path(folder))
                scorer = fitted.fit(fold.train, self.content, validation, rng, workspace)
                logs = sorted(Path(folder).rglob("log.jsonl"))
                entries = [_timeless(json.loads(line)) for log in logs for line in log.read_text().splitlines()]
            scores = scorer.score(fold.train.users, fold.train.items).numpy().tobytes()
            self[key] = (entries, scores, scorer.can_rank_cold)
        return self[key]


def _timeless(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in entry.items() if name != "seconds"}
