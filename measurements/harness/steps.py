"""Steps of the training loop, as a fit takes them."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable
from dataclasses import fields
from itertools import cycle

import numpy as np

from timbrec.data.interactions import Interactions
from timbrec.training.averaging import Average
from timbrec.training.judge import batches
from timbrec.training.recommender import TrainedRecommender
from timbrec.training.steps import Steps as Optimiser
from timbrec.training.trainable import Trainable

from . import machine, seconds
from .floor import Probe, Rates


class Steps:
    """The batches of an epoch, repeated; a call is a step. `rows` are the rows of the last batch."""

    def __init__(self, model: Trainable, settings: TrainedRecommender, pairs: Interactions) -> None:
        self.optimiser, self.examples = Optimiser(model, settings), model.examples(pairs)
        self.average = Average(model) if settings.average else None
        self.rng, self.rows, self.done = np.random.default_rng(0), np.zeros(0, np.int64), 0
        order = batches(len(self.examples), settings.batch, self.rng)
        self.per_epoch, self._order = len(order), cycle(order)
        model.train()

    def __call__(self) -> None:
        self.rows = next(self._order)
        self.done += 1
        self.optimiser.take(self.examples, self.rows, self.rng, f"step {self.done}")
        if self.average is not None:
            self.average.add(self.done)


def interleaved(calls: dict[str, Callable[[], float]], probe: Probe, rounds: int) -> tuple[dict[str, float], Rates]:
    """Medians of the results of each call, and of the rates, in rounds. Each call is made once before it counts."""
    for call in calls.values():
        call()
    taken: list[dict[str, float]] = []
    rates: list[Rates] = []
    for _ in range(rounds):
        rates.append(probe.rates())
        taken.append({name: call() for name, call in calls.items()})
        rates.append(probe.rates())
    medians = {name: statistics.median(sample[name] for sample in taken) for name in calls}
    return medians, Rates(
        *(statistics.median(getattr(sample, each.name) for sample in rates) for each in fields(Rates))
    )


def timed(call: Callable[[], object]) -> Callable[[], float]:
    """A call that returns its own seconds."""
    return lambda: seconds(call)


def report(what: str, rows: list[tuple[str, float, str]], **facts: object) -> None:
    """A table with a target beside every figure, and the same as a line of JSON."""
    print(f"{what}; {machine()}")
    print("".join(f"  {name}: {value}\n" for name, value in facts.items()), end="")
    for name, value, target in rows:
        print(f"| {name} | {value:.3g} | {target} |")
    figures = {name: value for name, value, _ in rows}
    print(json.dumps({"benchmark": what, **{name: str(value) for name, value in facts.items()}, **figures}))
