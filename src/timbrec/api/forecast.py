"""The expected time of a config on this machine: trials of its recommenders and encoders, and a small pilot run."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from timbrec.api.auditing import audit_lists
from timbrec.audit.run import unchecked
from timbrec.result import page_of, tables_of
from timbrec.results.leaks import write_leaks
from timbrec.study.calibration import Trials, calibrated, product_rate
from timbrec.study.config import Config
from timbrec.study.description import describe_run
from timbrec.study.engines.local import Local
from timbrec.study.engines.shared.order import cheap_first
from timbrec.study.estimate import in_words
from timbrec.study.experiment import Experiment
from timbrec.study.inputs import Inputs
from timbrec.study.plan import plan
from timbrec.study.runs import Run
from timbrec.study.sources import seconds_per_track

USERS = 1_000  # tested users of the pilot
CELLS = 12  # of the pilot, all of untrained recommenders
CODE = 60.0  # seconds of the checks of the code on two cores, once per installation


@dataclass
class Forecast:
    """Seconds of the parts of a run by name, at least and at most; `trials` are those of its recommenders."""

    trials: Trials
    least: dict[str, float] = field(default_factory=dict)
    most: dict[str, float] = field(default_factory=dict)

    def add(self, name: str, least: float, most: float | None = None) -> None:
        """Add a part."""
        self.least[name], self.most[name] = least, least if most is None else most

    def __str__(self) -> str:
        """The range, and what takes longest."""
        low, high = (sum(parts.values()) for parts in (self.least, self.most))
        parts = sorted((name for name in self.most if self.most[name] >= 0.1 * high), key=self.most.__getitem__)
        shares = ", ".join(f"{name} {_range(self.least[name], self.most[name])}" for name in reversed(parts))
        return f"about {_range(low, high)}, one cell at a time: {shares}"


def forecast(config: Config, inputs: Inputs, experiments: Sequence[Experiment]) -> Forecast:
    """The time that a run of these experiments would take on this machine, one cell at a time; takes a minute or two.

    `inputs` are read without encoding (`load_inputs(config, encode=False)`); audio counts as not encoded yet. The pilot
    runs cells that need no training for some of the users, and counts as their number and that of the cells grow.
    """
    expected = Forecast(calibrated(experiments, inputs))
    _add_encoding(expected, config, inputs)
    pilot, size = _pilot(config, inputs)
    cells = (expected.trials.least.left(experiments) or 0.0, expected.trials.most.left(experiments) or 0.0)
    stored = pilot.pop("cells") * len(experiments) * size
    expected.add("cells", *(seconds + stored + expected.trials.once for seconds in cells))
    for name, seconds in pilot.items():
        expected.add(name, seconds if name == "leaks" else seconds * len(experiments) * size)
    if unchecked():
        expected.add("checks of the code, once", CODE)
    return expected


def _pilot(config: Config, inputs: Inputs) -> tuple[dict[str, float], float]:
    """Seconds per cell of each step beside fitting, for the pilot's users, and their factor for all users.

    The leaks, which are searched once, count as a whole.
    """
    inputs, factor = _smaller(config, inputs)
    cells = cheap_first(plan(config, inputs))[0]
    plain = [cell for cell in cells if cell.representation is None][: CELLS // 2]
    others = [cell for cell in cells if cell.representation is not None][: CELLS - len(plain)]
    seconds: dict[str, float] = {}
    with TemporaryDirectory(prefix="timbrec-") as folder:
        run = Run.create(Path(folder), describe_run(config, inputs), inputs.split)
        run.plan([*plain, *others])
        inputs.files.write_csv(run.folder / "files.csv")
        with _timed(seconds, "leaks"):
            write_leaks(run, config, inputs)
        with _timed(seconds, "cells", len(plain)):
            Local().run(plain, inputs, run)
        Local().run(others, inputs, run)
        with _timed(seconds, "figures and page", len(plain) + len(others)):
            page_of(run, tables_of(run, None))
        with _timed(seconds, "audit of the lists", len(plain) + len(others)):
            audit_lists(run, inputs, None)
    return seconds, factor


def _smaller(config: Config, inputs: Inputs) -> tuple[Inputs, float]:
    """The inputs with the test pairs of some users, and the number of all tested users per user of the pilot.

    Vectors that are still to be encoded are random.
    """
    from timbrec.store.vectors import Vectors

    rng, test = np.random.default_rng(0), inputs.split.test
    tested = test.task("mixed").users
    chosen = np.zeros(test.train.n_users, bool)
    chosen[rng.choice(tested, min(USERS, len(tested)), replace=False)] = True
    hot, cold = (pairs.where(chosen[pairs.user]) for pairs in (test.hot, test.cold))
    split = replace(inputs.split, test=replace(test, hot=hot, cold=cold))
    smaller = replace(inputs, split=split, whole=None)
    ids = inputs.catalogue.ids
    drawn = {
        name: Vectors(ids, rng.standard_normal((len(ids), source.dim), dtype=np.float32))
        for name, source in inputs.sources.items()
        if name in config.encoders and config.encoders[name].audio is not None
    }
    if drawn:
        smaller = replace(smaller, sources=inputs.sources | drawn, representations=())
    return smaller, len(tested) / max(int(chosen.sum()), 1)


def _add_encoding(expected: Forecast, config: Config, inputs: Inputs) -> None:
    """Add the encoding of audio, from some tracks; or from the operations of its encoders, where these take long."""
    rate = product_rate()
    for name, entry in config.encoders.items():
        if entry.audio is not None:
            each = seconds_per_track(name, entry, config.base, config.device, rate)
            expected.add(f"encoding {name}", each * len(inputs.sources[name]))


@contextmanager
def _timed(seconds: dict[str, float], name: str, parts: int = 1) -> Iterator[None]:
    started = time.perf_counter()
    yield
    seconds[name] = (time.perf_counter() - started) / max(parts, 1)


def _range(low: float, high: float) -> str:
    first, last = in_words(low), in_words(high)
    return last if high <= 1.5 * low or first == last else f"{first} to {last}"
