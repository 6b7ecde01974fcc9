"""The settings of training, which every trained recommender has."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, ClassVar, Literal, get_args, get_origin, get_type_hints

from timbrec.errors import ConfigError

_MAY_BE_ZERO = ("dropout", "least_gain")
StopOn = Literal["mixed", "hot", "cold", "validation loss", "train loss", "nothing"]


@dataclass(frozen=True)
class TrainingSettings:
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

    optimizer: ClassVar[str] = "adam"

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


def _check(settings: TrainingSettings) -> None:
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
