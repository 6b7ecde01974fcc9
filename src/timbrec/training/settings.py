"""The settings of training, which every trained recommender has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from timbrec.settings import Count, Positive, Share

StopOn = Literal["mixed", "hot", "cold", "validation loss", "train loss", "nothing"]


@dataclass(frozen=True)
class TrainingSettings:
    """The settings of the training loop.

    Each epoch goes through all examples in batches of `batch`, in a new random order if `shuffle`. With a validation
    fold, `stop_on` names the value that is computed after every epoch:

    - `mixed`, `hot`, `cold`: NDCG@50 of this scenario of the fold; always hot if the model cannot rank cold items.
    - `validation loss`: the mean loss of the fold's hot pairs, without the users' histories, as in the paper.
    - `train loss`: the mean loss of the epoch's batches.
    - `nothing`: no value; all `epochs` are trained and the last one is served.

    Training stops after `patience` epochs without a better value, at `epochs` at the latest, and the weights of the
    best epoch are served. A value is better if it improves on the best one by more than the share `least_gain`. After
    `plateau` epochs without any improvement the learning rate falls to a tenth. Without a validation fold all `epochs`
    are trained, and the learning rate falls after each of the epochs in `lr_drops`. With `average`, the averages of
    the weights over the steps are validated and served (averaging.py).
    """

    optimizer: ClassVar[str] = "adam"

    epochs: Count = 100
    batch: Count = 10_000
    lr: Positive = 1e-3
    stop_on: StopOn = "mixed"
    patience: Count = 16
    least_gain: Share = 0.0
    plateau: Count = 5
    lr_drops: tuple[Count, ...] = ()
    shuffle: bool = True
    average: bool = False
