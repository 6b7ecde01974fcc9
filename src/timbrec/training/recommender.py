"""Recommenders that are trained: the settings they share, and how a fit goes."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args, get_origin, get_type_hints

import numpy as np
import torch

from timbrec.errors import ConfigError
from timbrec.protocols import Content, Recommender
from timbrec.ranking.scorers import DotScorer
from timbrec.training.loop import train
from timbrec.training.randomness import seeded

if TYPE_CHECKING:
    from typing import Self

    from timbrec.data.interactions import Interactions
    from timbrec.data.split import Fold
    from timbrec.training.trainable import Trainable

_MAY_BE_ZERO = ("dropout", "least_gain")
StopOn = Literal["mixed", "hot", "cold", "validation loss", "train loss", "nothing"]


@dataclass(frozen=True)
class TrainedRecommender(Recommender):
    """The settings of the one training loop.

    With validation, training stops after `patience` epochs without a better value of `stop_on`, at `epochs` at the
    latest, and the best epoch's weights are served; better means by more than the share `least_gain` of the best so
    far. After `plateau` epochs that were no better at all the learning rate falls to a tenth.
    `stop_on` is NDCG@50 of a scenario of the validation fold (hot for what cannot rank cold items), or one of the
    study's losses: the mean loss of the fold's hot pairs on their own, or of the epoch's own batches; `nothing` takes
    the last epoch. Without validation exactly `epochs` are trained, and the learning rate falls after the epochs in
    `lr_drops`. A step takes `batch` examples, in a new random order every epoch if `shuffle`. With `average`, what is
    judged and served are the averages of the weights after each step (averaging.py).
    """

    validates: ClassVar[bool] = True
    deterministic: ClassVar[bool] = False
    optimizer: ClassVar[str] = "adam"
    presets: ClassVar[dict[str, dict[str, Any]]] = {}

    epochs: int = 100
    batch: int = 10_000
    lr: float = 1e-3
    stop_on: StopOn = "mixed"
    patience: int = 16
    least_gain: float = 0.0
    plateau: int = 5
    lr_drops: tuple[int, ...] = ()
    shuffle: bool = True
    average: bool = False

    def __post_init__(self) -> None:
        _check(self)

    @classmethod
    def preset(cls, protocol: str, **changes: Any) -> Self:
        """The settings of a protocol by name, with `changes`; the defaults where a protocol sets nothing."""
        return cls(**cls.presets.get(protocol, {}) | changes)

    @abstractmethod
    def model(self, train: Interactions, content: Content, rng: np.random.Generator) -> Trainable:
        """The model before training; torch is seeded already."""

    def fit(
        self, train: Interactions, content: Content, validation: Fold | None, rng: np.random.Generator
    ) -> TrainedScorer:
        """Train; `validation` decides when to stop and nothing else."""
        return self._fitted(train, content, validation, int(rng.integers(2**63)))

    def _fitted(self, pairs: Interactions, content: Content, validation: Fold | None, seed: int) -> TrainedScorer:
        with seeded(seed, 0) as rng:
            model = self.model(pairs, content, rng)
        model.to(torch.device("cuda" if torch.cuda.is_available() else "cpu"))
        course = train(model, self, pairs, validation, content.vectors if self.uses_content else None, seed)
        model.eval()
        with torch.no_grad():
            scorer = model.scorer()
        found = {f"moved {name}": far for name, far in model.moved().items()}
        found["epochs trained"] = float(course.epoch)
        if self.uses_content:
            found["zero vectors"] = float((~content.vectors.any(1)).sum())
        return replace(scorer, stopped=course.chosen, found=scorer.found | found)


@dataclass(frozen=True, eq=False, kw_only=True)
class TrainedScorer(DotScorer):
    """A DotScorer that knows what validation chose."""

    stopped: dict[str, Any] = field(default_factory=dict)

    @property
    def chosen(self) -> dict[str, Any]:
        """The best epoch and the drops of the learning rate before it; empty without validation."""
        return self.stopped


def _check(settings: TrainedRecommender) -> None:
    """Make lists tuples; raise ConfigError for what is none of its choices, and for a number that is not positive (but
    for those in _MAY_BE_ZERO) or, as a share, not below one."""
    hints = get_type_hints(type(settings))
    for setting in fields(settings):
        value, choices = getattr(settings, setting.name), _choices(hints[setting.name])
        if isinstance(value, list):
            object.__setattr__(settings, setting.name, tuple(value))
        for one in value if isinstance(value, list | tuple) else (value,):
            if isinstance(one, str) and choices and one not in choices:
                known = ", ".join(map(str, choices))
                raise ConfigError(f"`{setting.name}` cannot be {one!r}", fix=f"Choose from {known}.")
            if isinstance(one, bool | str | None):
                continue
            if one < 0 or (one == 0 and setting.name not in _MAY_BE_ZERO):
                raise ConfigError(f"`{setting.name}` must be positive", example=one, fix="Give a larger number.")
            if one >= 1 and setting.name in ("dropout", "mask", "least_gain"):
                raise ConfigError(f"`{setting.name}` is a share", example=one, fix="Give a number below 1.")


def _choices(hint: Any) -> tuple[Any, ...]:
    """The values of a Literal, also inside a tuple or an optional."""
    inner = get_args(hint)
    return inner if get_origin(hint) is Literal else tuple(value for one in inner for value in _choices(one))
